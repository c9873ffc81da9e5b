"""Claims at full size: they are skipped without a GPU, and workers are distributed over the GPUs."""

import time
from typing import NamedTuple

import pytest
import torch

from labcheck.engine import environment
from tests.helpers.project import ORDER, Project, count_lines, is_in_one_line

SKIPPED = "claims at full size need a GPU, and none is available; --claims-device cpu runs them on the CPU"
FAKE_TORCH = """
import contextlib, sys
from types import ModuleType, SimpleNamespace

from labcheck.engine import environment

if "torch" not in sys.modules:
    torch = sys.modules["torch"] = ModuleType("torch")
    torch.Tensor = type("Tensor", (), {})  # SciPy reads it
    torch.cuda = SimpleNamespace(device_count=lambda: GPUS, is_initialized=lambda: INITIALIZED)
    environment._deterministic_torch = lambda *args: contextlib.nullcontext()
"""
WRITE_GPU = """
import time
gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "any")
open(f"gpu-{os.environ['PYTEST_XDIST_WORKER']}", "w").write(gpu)
while time.time() < UNTIL and len([name for name in os.listdir() if name.startswith("gpu-")]) < WORKERS: time.sleep(.01)
"""
"""Code of a training that writes the worker's GPU, and waits until each worker has done so."""


class Machine(NamedTuple):
    """A project with a claim at both scales, on a machine with a number of GPUs."""

    project: Project

    def set_gpus(self, gpus: int, initialized: bool = False) -> None:
        """Set the number of GPUs; workers have a fake torch, as importing the real one takes most of their time."""
        text = FAKE_TORCH.replace("GPUS", str(gpus)).replace("INITIALIZED", str(initialized))
        (self.project.folder / "conftest.py").write_text(text)
        self.project.monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)

    def gpus_of(self, workers: int, *options: str) -> dict[str, str]:
        """Train the claim on workers, and return the value of CUDA_VISIBLE_DEVICES of each one."""
        self.project.change(WRITE_GPU.replace("UNTIL", str(time.time() + 60)).replace("WORKERS", str(workers)))
        self.project.run("test_order.py", "-n", str(workers), "--claims-update", "first", *options)
        return {file.name.removeprefix("gpu-"): file.read_text() for file in self.project.folder.glob("gpu-*")}


@pytest.fixture
def machine(project: Project) -> Machine:
    """Return a machine without a GPU."""
    project.write("test_order.py", ORDER.replace('seeds={"quick": 16}', 'seeds={"quick": 2, "full": 3}'))
    machine = Machine(project)
    machine.set_gpus(0)
    return machine


@pytest.fixture
def full(machine: Machine) -> Project:
    """Return a project with a claim at both scales, on a machine without a GPU."""
    return machine.project


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["0", "1"])
def test_full_claim_is_skipped_with_reason_without_gpu(full: Project, workers: str):
    full.monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    result = full.run("test_order.py", "-m", "gpu", "-n", workers, "-rs")
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(skipped=3)
    assert is_in_one_line(result, f"SKIPPED [3] test_order.py: {SKIPPED}")
    assert is_in_one_line(result, f"3 tests of claims skipped: {SKIPPED}")
    assert full.trained() == []


def test_quick_claim_runs_without_gpu(full: Project):
    full.recorded("test_order.py", "-m", "not gpu")
    result = full.run("test_order.py")
    result.assert_outcomes(passed=3, skipped=3)


def test_update_does_not_count_skipped_test_as_failed(full: Project):
    result = full.run("test_order.py", "--claims-update", "first")
    assert count_lines(result, "could not be run") == 0
    assert full.file("order").exists()
    assert not full.file("order").with_name("full-drawn.json").exists()


def test_full_claim_runs_on_cpu_on_request(full: Project):
    result = full.run("test_order.py", "-m", "gpu", "--claims-device", "cpu", "--claims-update", "first")
    result.assert_outcomes(passed=3)
    again = full.run("test_order.py", "-m", "gpu", "--claims-device", "cpu")
    again.assert_outcomes(passed=3)
    assert count_lines(again, "skipped") == 0


def test_full_claim_without_baseline_has_update_hint(full: Project):
    result = full.run("test_order.py", "-m", "gpu", "--claims-device", "cpu")
    result.assert_outcomes(failed=3)
    assert count_lines(result, "--claims-update REASON") >= 3


# GPUs of workers


@pytest.mark.parametrize(
    ("count", "mask", "expected"),
    [
        (1, None, ["0", "0", "0", "0"]),
        (2, None, ["0", "1", "0", "1"]),
        (3, None, ["0", "1", "2", "0"]),
        (1, "5", ["5", "5", "5", "5"]),
        (2, "3,1", ["3", "1", "3", "1"]),
        (3, "GPU-a, GPU-b,GPU-c", ["GPU-a", "GPU-b", "GPU-c", "GPU-a"]),
        (2, "4,2,-1,7", ["4", "2", "4", "2"]),  # CUDA ignores what follows -1
    ],
)
def test_assign_gpu_distributes_visible_gpus_over_workers(
    count: int, mask: str | None, expected: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    if mask is None:
        monkeypatch.delenv(environment.VISIBLE_GPUS, raising=False)
    else:
        monkeypatch.setenv(environment.VISIBLE_GPUS, mask)
    assert [environment.assign_gpu(worker) for worker in range(4)] == expected


def test_assign_gpu_is_refused_after_initialization_of_cuda(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    with pytest.raises(RuntimeError, match=r"^CUDA was initialized before labcheck assigned a GPU; "):
        environment.assign_gpu(0)


@pytest.mark.slow
def test_workers_train_on_different_gpus(machine: Machine):
    machine.set_gpus(2)
    machine.project.monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7,5")
    assert machine.gpus_of(2, "-m", "gpu") == {"gw0": "7", "gw1": "5"}


@pytest.mark.slow
def test_no_gpu_is_assigned_if_device_is_named(machine: Machine):
    machine.set_gpus(2)
    machine.project.monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert machine.gpus_of(1, "--claims-device", "cuda:1") == {"gw0": "any"}


@pytest.mark.slow
def test_initialized_cuda_is_usage_error(machine: Machine):
    machine.set_gpus(2, initialized=True)
    result = machine.project.run("test_order.py", "-m", "gpu", "-n", "1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert is_in_one_line(result, "ERROR: CUDA was initialized before labcheck assigned a GPU; no conftest.py")
    assert machine.project.trained() == []


def test_deterministic_allows_all_algorithms_on_cpu():
    torch.set_deterministic_debug_mode("warn")
    try:
        with environment.deterministic():
            assert not torch.are_deterministic_algorithms_enabled()
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.set_deterministic_debug_mode("default")
