"""Claims at full size: skipped without a GPU, and shared out over those that there are."""

import pytest
import torch

from labcheck.engine import environment
from tests.helpers.project import ORDER, WITHOUT_TORCH, Project, count_lines

from .test_plugin import in_one_line

SKIPPED = "no GPU was found, on which claims are checked at full size; --claims-device cpu checks them without"
FAKE = f"""{WITHOUT_TORCH}
from types import ModuleType, SimpleNamespace

if "torch" not in sys.modules:
    torch = sys.modules["torch"] = ModuleType("torch")
    torch.Tensor = type("Tensor", (), {{}})  # which SciPy looks for
    torch.cuda = SimpleNamespace(device_count=lambda: 2, is_initialized=lambda: False)
"""
"""Two GPUs in each worker, of a torch that is but pretended: importing the real one would take the longest."""
NOTE = "open(f'gpu-{os.environ[\"PYTEST_XDIST_WORKER\"]}', 'w').write(os.environ.get('CUDA_VISIBLE_DEVICES', 'any'))"


@pytest.fixture
def full(project: Project) -> Project:
    """A project with a claim at both scales, on a machine without a GPU."""
    project.write("test_order.py", ORDER.replace('seeds={"quick": 16}', 'seeds={"quick": 2, "full": 3}'))
    project.monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    return project


@pytest.mark.parametrize("workers", ["0", "1"])
def test_without_a_gpu_claims_at_full_size_are_skipped_and_said_to_be(full: Project, workers: str):
    full.monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    result = full.run("test_order.py", "-m", "gpu", "-n", workers, "-rs")
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(skipped=3)
    assert in_one_line(result, f"SKIPPED [[]3[]]*{SKIPPED}") or count_lines(result, SKIPPED) >= 2
    assert count_lines(result, f"3 tests of claims skipped: {SKIPPED}") == 1
    assert full.trained() == []


def test_the_others_run(full: Project):
    full.recorded("test_order.py", "-m", "not gpu")
    result = full.run("test_order.py")
    result.assert_outcomes(passed=3, skipped=3)


def test_an_update_does_not_take_a_skipped_test_for_one_that_crashed(full: Project):
    result = full.run("test_order.py", "--claims-update", "first")
    assert count_lines(result, "could not be run") == 0
    assert full.file("order").exists()
    assert not full.file("order").with_name("full-drawn.json").exists()


def test_on_the_cpu_they_run_when_that_is_asked_for(full: Project):
    result = full.run("test_order.py", "-m", "gpu", "--claims-device", "cpu", "--claims-update", "first")
    result.assert_outcomes(passed=3)
    again = full.run("test_order.py", "-m", "gpu", "--claims-device", "cpu")
    again.assert_outcomes(passed=3)
    assert count_lines(again, "skipped") == 0


def test_a_claim_at_full_size_without_a_baseline_says_how_to_record_one(full: Project):
    result = full.run("test_order.py", "-m", "gpu", "--claims-device", "cpu")
    result.assert_outcomes(failed=3)
    assert count_lines(result, "--claims-update REASON") >= 3


# the GPU of a worker


@pytest.mark.parametrize(
    ("count", "mask", "expected"),
    [
        (1, None, ["0", "0", "0", "0"]),
        (2, None, ["0", "1", "0", "1"]),
        (3, None, ["0", "1", "2", "0"]),
        (1, "5", ["5", "5", "5", "5"]),
        (2, "3,1", ["3", "1", "3", "1"]),
        (3, "GPU-a, GPU-b,GPU-c", ["GPU-a", "GPU-b", "GPU-c", "GPU-a"]),
        (2, "4,2,-1,7", ["4", "2", "4", "2"]),  # CUDA reads no further than -1
    ],
)
def test_four_workers_share_the_callers_gpus(
    count: int, mask: str | None, expected: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    if mask is None:
        monkeypatch.delenv(environment.VISIBLE_GPUS, raising=False)
    else:
        monkeypatch.setenv(environment.VISIBLE_GPUS, mask)
    assert [environment.assign_gpu(worker) for worker in range(4)] == expected


def test_a_gpu_is_chosen_before_cuda_starts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    with pytest.raises(RuntimeError, match="CUDA started before"):
        environment.assign_gpu(0)


def test_workers_train_on_gpus_of_their_own(full: Project):
    (full.folder / "conftest.py").write_text(FAKE)
    full.monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7,5")
    full.change(NOTE + "; __import__('time').sleep(1)")
    full.run("test_order.py", "-m", "gpu", "-n", "2", "--claims-update", "first")
    assert {file.name: file.read_text() for file in full.folder.glob("gpu-*")} == {"gpu-gw0": "7", "gpu-gw1": "5"}


def test_nobody_chooses_where_a_gpu_is_named(full: Project):
    (full.folder / "conftest.py").write_text(FAKE)
    full.monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    full.monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    full.change(NOTE)
    full.run("test_order.py", "-n", "1", "--claims-update", "first", "--claims-device", "cuda:1")
    assert {file.read_text() for file in full.folder.glob("gpu-*")} == {"any"}


def test_a_gpu_that_cuda_no_longer_lets_choose_is_a_usage_error(full: Project):
    code = FAKE.replace("is_initialized=lambda: False", "is_initialized=lambda: True")
    (full.folder / "conftest.py").write_text(code)
    result = full.run("test_order.py", "-m", "gpu", "-n", "1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert in_one_line(result, "ERROR: CUDA started before labcheck chose a GPU")
    assert full.trained() == []


def test_what_is_deterministic_on_a_gpu_stays_off_the_cpu():
    with environment.deterministic():
        assert not torch.are_deterministic_algorithms_enabled()
