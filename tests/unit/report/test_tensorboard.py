"""Files for TensorBoard: a run for each arm and seed, with the judged curves and the network."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorboard", reason="needs labcheck[tensorboard]")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer.record_writer import RecordWriter

import labcheck.labs.curve  # noqa: F401
from labcheck.labs.boston import Boston
from labcheck.report import tensorboard
from tests.helpers.project import LAB, ORDER, Project, count_lines, is_in_one_line

REAL = """
from labcheck import Arm, Claim, Metric, beats

first = Metric("batch_loss", False, reduction=lambda values, after: values[0], label="first loss")
late = Metric("grid_loss", False, reduction=lambda values, after: values[after == 110][0], label="late loss")
best = Metric("val_loss", False, reduction=lambda values, after: values.min(), label="best loss")
"""
BOSTON = """
from labcheck.labs.boston import FINAL_LOSS, Boston

numbers = {best: 1.0, first: 1.0, FINAL_LOSS: 1.0, Metric("epochs", higher_is_better=False): 1.0}
claim = Claim(
    id="boston/small",
    statement="", citation="", lab=Boston, seeds={"quick": 3},
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
small = {"epochs": 115, "hidden": (8, 8)}
claim = Claim(
    id="curve/small",
    statement="", citation="", lab=Curve, seeds={"quick": 2},
    arms={"f": Arm(small, {"": numbers}), "g": Arm({"function": "g", **small}, {"": numbers})},
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
"""A conftest that waits for the threads of TensorBoard at the end of each test."""
INTO = ["--claims-tensorboard", "tb"]
ALL = [*INTO, "--claims-set", "toy.loud=true"]
"""With an overridden setting nothing is compared, so all tests pass."""
Runs = dict[str, dict[str, dict[int, float]]]
"""The curves of each run: epoch → value."""
RunClaim = Callable[[str], tuple[Runs, dict[str, Any]]]


def read(run: Path) -> EventAccumulator:
    """Return what TensorBoard reads of a run."""
    events = EventAccumulator(str(run), size_guidance={"scalars": 0})
    events.Reload()
    return events


def runs(folder: Path) -> Runs:
    """Return the curves of each run in a folder."""
    curves_of_run = {}
    for file in folder.rglob("events.out.tfevents.*"):
        events = read(file.parent)
        tags = events.Tags()["scalars"]
        curves = {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}
        assert all(len(dict(values)) == len(values) for values in curves.values())
        curves_of_run[str(file.parent.relative_to(folder))] = {tag: dict(values) for tag, values in curves.items()}
    assert len(curves_of_run) == len(list(folder.rglob("events.out.tfevents.*")))
    return curves_of_run


def measured(report: dict[str, Any], arm: str, metric: str) -> list[Any]:
    """Return the per-seed values of a metric in a report."""
    (values,) = (entry["metrics"][metric] for entry in report["claims"][0]["arms"] if entry["name"] == arm)
    return [np.nan if value is None else value for value in values]


def same(written: list[float], reported: list[float]) -> bool:
    """Return whether values are equal as float32, where the report has NaN for any value that is not finite."""
    values = np.array(written, np.float32)
    return np.array_equal(np.where(np.isfinite(values), values, np.nan), np.array(reported, np.float32), equal_nan=True)


@pytest.fixture(scope="module", autouse=True)
def _imported(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Import all of TensorBoard, since pytester unloads modules that its runs import first."""
    lab = Boston(epochs=1)
    tensorboard.write(tmp_path_factory.mktemp("first"), lab, lab.train([0]))


@pytest.fixture
def run_claim(project: Project) -> RunClaim:
    """Return a function that runs a claim of a real lab, and returns its runs and the report."""

    def run(claim: str) -> tuple[Runs, dict[str, Any]]:
        (project.folder / "test_small.py").write_text(REAL + claim)
        result = project.run("test_small.py", *INTO, "--claims-report", "out")
        assert count_lines(result, "--claims-tensorboard:") == count_lines(result, "Traceback") == 0
        return runs(project.folder / "tb"), project.report()

    return run


# content


@pytest.mark.slow
def test_curves_are_those_that_were_judged(run_claim: RunClaim):
    written, report = run_claim(BOSTON)
    assert sorted(written) == [
        f"boston/small/quick/{arm}/seed-00{seed}" for arm in ("tame", "wild") for seed in range(3)
    ]
    for arm in ("tame", "wild"):
        curves = [written[f"boston/small/quick/{arm}/seed-00{seed}"] for seed in range(3)]
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


@pytest.mark.slow
def test_sparse_records_have_their_epochs(run_claim: RunClaim):
    written, report = run_claim(CURVE)
    assert len(written) == 4
    for arm in ("f", "g"):
        curves = [written[f"curve/small/quick/{arm}/seed-00{seed}"] for seed in range(2)]
        for values in (values for seed in curves for values in seed.values()):
            assert list(values) == [*range(1, 101), 110, 115]
        assert same([seed["grid_loss"][110] for seed in curves], measured(report, arm, "late loss"))
        assert same([seed["batch_loss"][1] for seed in curves], measured(report, arm, "first loss"))


@pytest.mark.slow
def test_learning_rate_has_curve(run_claim: RunClaim):
    written, _ = run_claim(BOSTON.replace('"lr": 0.001', '"lr": 1e-7'))  # too low to improve on
    rates = written["boston/small/quick/tame/seed-000"]["lr"]
    assert rates == pytest.approx({1: 1e-7, 2: 1e-7, 3: 5e-8, 4: 2.5e-8})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("claim", "run", "layers"),
    [
        (BOSTON, "boston/small/quick/wild/seed-002", ["Linear[0]", "ReLU[1]", "Linear[2]"]),
        (
            CURVE.replace("115", "2").replace("{late: 1.0, first: 1.0}", "{first: 1.0}"),
            "curve/small/quick/g/seed-000",
            ["Linear[0]", "Sigmoid[1]", "Linear[2]", "Sigmoid[3]", "Linear[4]"],
        ),
    ],
)
def test_graph_names_layers(project: Project, run_claim: RunClaim, claim: str, run: str, layers: list[str]):
    run_claim(claim)
    names = [node.name.split("/")[1] for node in read(project.folder / "tb" / run).Graph().node if "[" in node.name]
    assert list(dict.fromkeys(names)) == layers


def test_lab_without_graph_has_curves(project: Project):
    project.run(*ALL)
    written = runs(project.folder / "tb")
    count = Counter(run.rpartition("/")[0] for run in written)
    order, top = "toy/order/quick", "toy/top/quick"
    assert count == {f"{order}/low": 12, f"{order}/high": 12, f"{top}/low": 10, f"{top}/top": 10}
    assert written[f"{order}/low/seed-011"] == {"loss": {epoch: pytest.approx(0.9, abs=0.5) for epoch in (1, 2, 3)}}
    assert read(project.folder / "tb" / f"{order}/low/seed-011").Tags()["graph"] is False


def test_curve_ends_with_last_epoch_of_seed(project: Project):
    project.change("metrics['epochs'][:] = np.array(seeds) % 3 + 1")
    project.run("test_top.py", *ALL)
    written = runs(project.folder / "tb" / "toy" / "top" / "quick" / "top")
    assert {run: list(curves["loss"]) for run, curves in written.items()} == {
        f"seed-{seed:03d}": list(range(1, seed % 3 + 2)) for seed in range(10)
    }


def test_scales_have_separate_runs(project: Project):
    project.write("test_order.py", ORDER.replace('{"quick": 16}', '{"quick": 2, "full": 3}'))
    project.run("test_order.py", "--claims-device", "cpu", *ALL)
    written = runs(project.folder / "tb" / "toy" / "order")
    assert {run: len(curves["loss"]) for run, curves in written.items() if "/low/" in run} == {
        "full/low/seed-000": 9, "full/low/seed-001": 9, "full/low/seed-002": 9,
        "quick/low/seed-000": 3, "quick/low/seed-001": 3,
    }  # fmt: skip


def test_selected_tests_write_only_their_arms(project: Project):
    project.run("test_top.py", "-k", "top-quick or beats", *ALL)
    assert [folder.name for folder in (project.folder / "tb" / "toy" / "top" / "quick").iterdir()] == ["top"]


# repeated runs


@pytest.mark.slow
def test_second_run_replaces_first(project: Project):
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


@pytest.mark.slow
def test_second_run_with_fewer_seeds_leaves_no_others(project: Project):
    project.run("test_top.py", *ALL)
    project.run("test_top.py", *ALL, "--claims-seeds", "3")
    assert len(runs(project.folder / "tb" / "toy" / "top" / "quick" / "top")) == 3


@pytest.mark.slow
def test_workers_write_same_as_one_process(project: Project):
    project.run("-n", "0", *ALL)
    alone = runs(project.folder / "tb")
    shutil.rmtree(project.folder / "tb")
    project.run("-n", "2", *ALL)
    assert runs(project.folder / "tb") == alone


# names


def runs_of_arms(project: Project, *arms: str) -> Runs:
    """Return the runs of a claim whose arms have these names."""
    levels = ", ".join(f"{name!r}: Arm({{'level': {level}.0}})" for level, name in enumerate(arms, 1))
    claim = f"""
claim = Claim(
    id="toy/names", statement="", citation="", lab=Toy, seeds={{"quick": 2}},
    arms={{{levels}}}, relations=[beats({arms[0]!r}, {arms[1]!r}, ERROR)],
)
"""
    project.write("test_names.py", claim)
    project.run("test_names.py", *ALL)
    assert [path.name for path in (project.folder / "tb" / "toy").iterdir()] == ["names"]
    return runs(project.folder / "tb" / "toy" / "names" / "quick")


def test_folders_are_named_after_arms(project: Project):
    written = runs_of_arms(project, "p=2", "10-100-10", "lr 0.001", "v1.5", "größe", "norm+kaiming")
    assert {run.rpartition("/")[0] for run in written} == {
        "p=2", "10-100-10", "lr 0.001", "v1.5", "größe", "norm+kaiming",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["a/b", "../../../up", "/etc", "a\\b", "a b", "a: b?*", " a ", ".a"])
def test_arm_of_any_name_has_folder(project: Project, name: str):
    written = runs_of_arms(project, name, "other")
    folders = {run.rpartition("/")[0] for run in written}
    assert len(written) == 4
    assert len(folders) == 2
    assert all(folder and "/" not in folder for folder in folders)


@pytest.mark.parametrize("names", [("a/b", "a b"), ("a", ".a"), ("...", "other"), ("/", "other")])
def test_arms_of_similar_names_have_separate_folders(project: Project, names: tuple[str, str]):
    written = runs_of_arms(project, *names)
    assert len(written) == 4
    assert all(run.count("/") == 1 for run in written)


@pytest.mark.parametrize(
    ("arm", "folder"),
    [("lr 0.1", "lr 0.1"), ("a/b", "a%2Fb"), ("../up", "%2E.%2Fup"), ("m=0.9", "m=0.9"), ("5×5", "5×5"), ("", "%")],
)
def test_folder_name_encodes_characters(arm: str, folder: str):
    assert tensorboard.folder_name(arm) == folder


# errors


@pytest.mark.parametrize("place", ["taken", "taken/deeper"])
@pytest.mark.parametrize("workers", ["0", "2"])
def test_unwritable_folder_is_usage_error(project: Project, place: str, workers: str):
    (project.folder / "taken").touch()
    result = project.run("-n", workers, "--claims-tensorboard", place)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert is_in_one_line(result, f"--claims-tensorboard: cannot write to {project.folder / place}: ")
    assert project.trained() == []


@pytest.mark.slow
def test_arm_fails_in_one_line_if_folder_becomes_unwritable(project: Project):
    project.recorded()
    project.change("open('tb/toy', 'w').close()")
    result = project.run(*INTO, "--claims-report", "out")
    result.assert_outcomes(passed=3, failed=4)
    assert count_lines(result, "--claims-tensorboard: [Errno ") == 4
    assert count_lines(result, "; name another folder") == 4
    assert count_lines(result, "Traceback") == count_lines(result, "INTERNALERROR") == 0
    assert [len(claim["arms"]) for claim in project.report()["claims"]] == [2, 2]


@pytest.mark.slow
def test_arm_fails_in_one_line_if_disk_is_full(project: Project):
    def full(writer: RecordWriter, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    project.recorded()
    project.monkeypatch.setattr(RecordWriter, "write", full)
    (project.folder / "conftest.py").write_text(WRITTEN)
    result = project.run("test_order.py::arm[low-quick]", *INTO)
    result.assert_outcomes(failed=1)
    assert count_lines(result, "--claims-tensorboard: [Errno 28] No space left on device") == 1
    assert count_lines(result, "Thread") == 0


@pytest.mark.slow
def test_no_files_are_written_without_option(project: Project):
    project.monkeypatch.setattr(tensorboard, "write", lambda *args: pytest.fail("written without the option"))
    project.recorded("--claims-report", "out")
    assert list(project.folder.rglob("events.out.tfevents.*")) == []


@pytest.mark.slow
def test_option_changes_no_baseline(project: Project):
    project.recorded(*INTO)
    project.recorded()
    assert project.run(*INTO).ret == pytest.ExitCode.OK
