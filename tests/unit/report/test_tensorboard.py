"""What TensorBoard gets: a run for each arm and seed with the curves that verdicts were made of, and the network."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorboard", reason="it comes with pip install 'labcheck[tensorboard]'")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer.record_writer import RecordWriter

import labcheck.labs.curve  # noqa: F401
from labcheck.labs.boston import Boston
from labcheck.report import tensorboard
from tests.helpers.project import LAB, ORDER, Project, count_lines

from .test_plugin import in_one_line

REAL = """
from labcheck.core.claims import Arm, Claim
from labcheck.core.metrics import Metric
from labcheck.core.comparisons import beats

first = Metric("batch_loss", False, reduction=lambda values, after: values[0], label="first loss")
late = Metric("grid_loss", False, reduction=lambda values, after: values[after == 110][0], label="late loss")
best = Metric("val_loss", False, reduction=lambda values, after: values.min(), label="best loss")
"""
BOSTON = """
from labcheck.labs.boston import FINAL_LOSS, Boston

numbers = {best: 1.0, first: 1.0, FINAL_LOSS: 1.0, Metric("epochs", higher_is_better=False): 1.0}
claim = Claim(
    id="boston/small",
    statement="", source="", lab=Boston, seeds={"quick": 3},
    arms={
        "tame": Arm({"lr": 0.001, "epochs": 4, "factor": 0.5, "patience": 0}, {"": numbers}),
        "wild": Arm({"lr": 0.1, "epochs": 4}, {"": numbers}),
    },
    relations=[beats("tame", "wild", FINAL_LOSS)],
)
"""
CURVE = """
from labcheck.labs.curve import GRID_MSE, Curve

numbers = {late: 1.0, first: 1.0}
claim = Claim(
    id="curve/small",
    statement="", source="", lab=Curve, seeds={"quick": 2},
    arms={"f": Arm({"epochs": 115}, {"": numbers}), "g": Arm({"function": "g", "epochs": 115}, {"": numbers})},
    relations=[beats("f", "g", GRID_MSE)],
)
"""
WRITTEN = """
import threading

def pytest_runtest_teardown():
    for thread in threading.enumerate():
        if type(thread).__name__ == "_AsyncWriterThread":
            thread.join()
"""
"""What TensorBoard's threads do is done before a test ends."""
INTO = ["--claims-tensorboard", "tb"]
ALL = [*INTO, "--claims-set", "toy.loud=true"]
"""Nothing is compared, so all tests pass."""
Runs = dict[str, dict[str, dict[int, float]]]
Small = Callable[[str], tuple[Runs, dict[str, Any]]]


def read(run: Path) -> EventAccumulator:
    events = EventAccumulator(str(run), size_guidance={"scalars": 0})
    events.Reload()
    return events


def runs(folder: Path) -> Runs:
    """Of each run its curves: epoch → value."""
    found = {}
    for file in folder.rglob("events.out.tfevents.*"):
        events = read(file.parent)
        tags = events.Tags()["scalars"]
        curves = {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}
        assert all(len(dict(values)) == len(values) for values in curves.values())
        found[str(file.parent.relative_to(folder))] = {tag: dict(values) for tag, values in curves.items()}
    assert len(found) == len(list(folder.rglob("events.out.tfevents.*")))
    return found


def measured(report: dict[str, Any], arm: str, metric: str) -> list[Any]:
    """An arm's numbers as report.json tells them."""
    (values,) = (entry["metrics"][metric] for entry in report["claims"][0]["arms"] if entry["name"] == arm)
    return [np.nan if value is None else value for value in values]


def same(numbers: list[float], told: list[float]) -> bool:
    """Whether they are equal as float32; report.json does not tell in which way a number is not finite."""
    values = np.array(numbers, np.float32)
    return np.array_equal(np.where(np.isfinite(values), values, np.nan), np.array(told, np.float32), equal_nan=True)


@pytest.fixture(scope="module", autouse=True)
def _imported(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Pytester forgets whatever its runs are the first to import; torch cannot be imported twice."""
    lab = Boston(epochs=1)
    tensorboard.write(tmp_path_factory.mktemp("first"), lab, lab.train([0]))


@pytest.fixture
def small(project: Project) -> Small:
    """Runs one claim of a real lab: what TensorBoard reads, and report.json."""

    def run(claim: str) -> tuple[Runs, dict[str, Any]]:
        (project.folder / "test_small.py").write_text(REAL + claim)
        result = project.run("test_small.py", *INTO, "--claims-report", "out")
        assert count_lines(result, "TensorBoard") == count_lines(result, "Traceback") == 0
        return runs(project.folder / "tb"), project.report()

    return run


# what stands there


def test_the_curves_of_boston_are_those_that_were_judged(small: Small):
    found, report = small(BOSTON)
    assert sorted(found) == [f"boston/small/quick/{arm}/seed-00{seed}" for arm in ("tame", "wild") for seed in range(3)]
    for arm in ("tame", "wild"):
        curves = [found[f"boston/small/quick/{arm}/seed-00{seed}"] for seed in range(3)]
        assert all(set(seed) == {"batch_loss", "val_loss", "lr"} for seed in curves)
        last = [int(epochs) for epochs in measured(report, arm, "epochs")]
        assert last == ([4, 4, 4] if arm == "tame" else [1, 1, 1])  # those that diverge stop
        assert [list(values) for seed in curves for values in seed.values()] == [
            list(range(1, epochs + 1)) for epochs in last for _ in range(3)
        ]
        final = [seed["batch_loss"][epochs] for seed, epochs in zip(curves, last, strict=True)]
        assert same(final, measured(report, arm, "final_loss"))
        assert same([seed["batch_loss"][1] for seed in curves], measured(report, arm, "first loss"))
        assert same([np.min(list(seed["val_loss"].values())) for seed in curves], measured(report, arm, "best loss"))


def test_the_curves_of_curve_stand_at_the_epochs_that_it_looks_at(small: Small):
    found, report = small(CURVE)
    assert len(found) == 4
    for arm in ("f", "g"):
        curves = [found[f"curve/small/quick/{arm}/seed-00{seed}"] for seed in range(2)]
        for values in (values for seed in curves for values in seed.values()):
            assert list(values) == [*range(1, 101), 110, 115]
        assert same([seed["grid_loss"][110] for seed in curves], measured(report, arm, "late loss"))
        assert same([seed["batch_loss"][1] for seed in curves], measured(report, arm, "first loss"))


def test_the_learning_rate_is_there_as_it_was_lowered(small: Small):
    found, _ = small(BOSTON.replace('"lr": 0.001', '"lr": 1e-7'))  # too low to improve on
    rates = found["boston/small/quick/tame/seed-000"]["lr"]
    assert rates == pytest.approx({1: 1e-7, 2: 1e-7, 3: 5e-8, 4: 2.5e-8})


@pytest.mark.parametrize(
    ("claim", "run", "layers"),
    [
        (BOSTON, "boston/small/quick/wild/seed-002", ["Linear[0]", "ReLU[1]", "Linear[2]"]),
        (
            CURVE,
            "curve/small/quick/g/seed-000",
            ["Linear[0]", "Sigmoid[1]", "Linear[2]", "Sigmoid[3]", "Linear[4]"],
        ),
    ],
)
def test_the_graph_names_the_layers(project: Project, small: Small, claim: str, run: str, layers: list[str]):
    small(claim)
    names = [node.name.split("/")[1] for node in read(project.folder / "tb" / run).Graph().node if "[" in node.name]
    assert list(dict.fromkeys(names)) == layers


def test_a_lab_without_a_graph_has_curves(project: Project):
    project.run(*ALL)
    found = runs(project.folder / "tb")
    count = Counter(run.rpartition("/")[0] for run in found)
    order, top = "toy/order/quick", "toy/top/quick"
    assert count == {f"{order}/low": 16, f"{order}/high": 16, f"{top}/low": 10, f"{top}/top": 10}
    assert found[f"{order}/low/seed-015"] == {"loss": {epoch: pytest.approx(0.9, abs=0.5) for epoch in (1, 2, 3)}}
    assert read(project.folder / "tb" / f"{order}/low/seed-015").Tags()["graph"] is False


def test_nothing_stands_after_the_last_epoch_of_a_seed(project: Project):
    project.change("metrics['epochs'][:] = np.array(seeds) % 3 + 1")
    project.run("test_top.py", *ALL)
    found = runs(project.folder / "tb" / "toy" / "top" / "quick" / "top")
    assert {run: list(curves["loss"]) for run, curves in found.items()} == {
        f"seed-{seed:03d}": list(range(1, seed % 3 + 2)) for seed in range(10)
    }


def test_scales_have_runs_of_their_own(project: Project):
    project.write("test_order.py", ORDER.replace('{"quick": 16}', '{"quick": 2, "full": 3}'))
    project.run("test_order.py", "--claims-device", "cpu", *ALL)
    found = runs(project.folder / "tb" / "toy" / "order")
    assert {run: len(curves["loss"]) for run, curves in found.items() if "/low/" in run} == {
        "full/low/seed-000": 9, "full/low/seed-001": 9, "full/low/seed-002": 9,
        "quick/low/seed-000": 3, "quick/low/seed-001": 3,
    }  # fmt: skip


def test_a_part_of_a_claim_writes_its_arms(project: Project):
    project.run("test_top.py", "-k", "top-quick or beats", *ALL)
    assert [folder.name for folder in (project.folder / "tb" / "toy" / "top" / "quick").iterdir()] == ["top"]


# again and elsewhere


def test_another_run_takes_the_place_of_the_first(project: Project):
    project.run("test_top.py", *ALL)
    first = runs(project.folder / "tb")
    (project.folder / "tb" / "notes").write_text("mine")
    (project.folder / "toy.py").write_text(LAB.replace('{"epochs": 3}', '{"epochs": 2}'))
    project.run("test_top.py", *ALL, "--claims-set", "toy.noise=0.9")
    second = runs(project.folder / "tb")
    assert first.keys() == second.keys()
    for run in first:
        assert list(second[run]["loss"]) == [1, 2]
        assert second[run]["loss"][1] != first[run]["loss"][1]
    assert (project.folder / "tb" / "notes").read_text() == "mine"


def test_a_run_of_fewer_seeds_leaves_none_of_the_first(project: Project):
    project.run("test_top.py", *ALL)
    project.run("test_top.py", *ALL, "--claims-seeds", "3")
    assert len(runs(project.folder / "tb" / "toy" / "top" / "quick" / "top")) == 3


def test_workers_write_what_one_process_does(project: Project):
    project.run("-n", "0", *ALL)
    alone = runs(project.folder / "tb")
    shutil.rmtree(project.folder / "tb")
    project.run("-n", "2", *ALL)
    assert runs(project.folder / "tb") == alone


def named(project: Project, *arms: str) -> Runs:
    """The runs of a claim whose arms have these names."""
    levels = ", ".join(f"{name!r}: Arm({{'level': {level}.0}})" for level, name in enumerate(arms, 1))
    claim = f"""
claim = Claim(
    id="toy/names", statement="", source="", lab=Toy, seeds={{"quick": 2}},
    arms={{{levels}}}, relations=[beats({arms[0]!r}, {arms[1]!r}, ERROR)],
)
"""
    project.write("test_names.py", claim)
    project.run("test_names.py", *ALL)
    assert [path.name for path in (project.folder / "tb" / "toy").iterdir()] == ["names"]
    return runs(project.folder / "tb" / "toy" / "names" / "quick")


def test_names_of_arms_are_names_of_folders(project: Project):
    found = named(project, "p=2", "10-100-10", "lr 0.001", "v1.5", "größe", "norm+kaiming")
    assert {run.rpartition("/")[0] for run in found} == {
        "p=2", "10-100-10", "lr 0.001", "v1.5", "größe", "norm+kaiming",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["a/b", "../../../up", "/etc", "a\\b", "a b", "a: b?*", " a ", ".a"])
def test_an_arm_of_any_name_has_a_folder_of_its_own(project: Project, name: str):
    found = named(project, name, "other")
    folders = {run.rpartition("/")[0] for run in found}
    assert len(found) == 4
    assert len(folders) == 2
    assert all(folder and "/" not in folder for folder in folders)


@pytest.mark.parametrize("names", [("a/b", "a b"), ("a", ".a"), ("...", "other"), ("/", "other")])
def test_arms_do_not_share_a_folder(project: Project, names: tuple[str, str]):
    found = named(project, *names)
    assert len(found) == 4
    assert all(run.count("/") == 1 for run in found)


@pytest.mark.parametrize(
    ("arm", "folder"),
    [("lr 0.1", "lr 0.1"), ("a/b", "a%2Fb"), ("../up", "%2E.%2Fup"), ("m=0.9", "m=0.9"), ("5×5", "5×5"), ("", "%")],
)
def test_a_folder_is_called_after_its_arm(arm: str, folder: str):
    assert tensorboard.folder_name(arm) == folder


# what is refused, and what goes wrong


@pytest.mark.parametrize("place", ["taken", "taken/deeper"])
@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_folder_that_cannot_be_written_is_a_usage_error(project: Project, place: str, workers: str):
    (project.folder / "taken").touch()
    result = project.run("-n", workers, "--claims-tensorboard", place)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert in_one_line(result, f"--claims-tensorboard cannot write to {project.folder / place}: ")
    assert project.trained() == []


def test_what_cannot_be_written_later_fails_its_arm_in_one_line(project: Project):
    project.recorded()
    project.change("open('tb/toy', 'w').close()")
    result = project.run(*INTO, "--claims-report", "out")
    result.assert_outcomes(passed=3, failed=4)
    assert count_lines(result, "no TensorBoard files: ") >= 4
    assert count_lines(result, "; name another folder with --claims-tensorboard") == 4
    assert count_lines(result, "Traceback") == count_lines(result, "INTERNALERROR") == 0
    assert [len(claim["arms"]) for claim in project.report()["claims"]] == [2, 2]


def test_a_full_disk_fails_its_arm_in_one_line(project: Project):
    def full(writer: RecordWriter, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    project.recorded()
    project.monkeypatch.setattr(RecordWriter, "write", full)
    (project.folder / "conftest.py").write_text(WRITTEN)
    result = project.run("test_order.py::arm[low-quick]", *INTO)
    result.assert_outcomes(failed=1)
    assert count_lines(result, "no TensorBoard files: [Errno 28] No space left on device") == 1
    assert count_lines(result, "Thread") == 0


def test_nothing_is_written_unless_asked_for(project: Project):
    project.monkeypatch.setattr(tensorboard, "write", lambda *args: pytest.fail("asked for by nobody"))
    project.recorded("--claims-report", "out")
    assert list(project.folder.rglob("events.out.tfevents.*")) == []


def test_a_baseline_does_not_know_of_it(project: Project):
    project.recorded(*INTO)
    project.recorded()
    assert project.run(*INTO).ret == pytest.ExitCode.OK
