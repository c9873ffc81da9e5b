"""Progress: the reports of trainers, the files that processes share, and estimates of durations."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from labcheck import Arm, Claim, beats, report_progress
from labcheck.engine import baselines, progress
from labcheck.engine.baselines import Baseline
from labcheck.engine.checks import build_checks
from labcheck.engine.planning import plan
from labcheck.engine.progress import (
    CollectedTest,
    PlannedBlock,
    ProgressFiles,
    State,
    correction,
    estimate,
    expected,
    progress_callback,
)
from labcheck.engine.session import Session
from labcheck.engine.store import TrialStore
from labcheck.labs.boston import Boston
from labcheck.labs.curve import Curve
from tests.helpers.claims import TEST_ERROR, Counted

TIMED = [PlannedBlock("one", "first", 30.0), PlannedBlock("two", "second", 10.0)]
CHILD = """
import sys
from pathlib import Path
from labcheck.engine.progress import ProgressFiles, report_progress

with ProgressFiles(Path(sys.argv[1])).training("two"):
    report_progress(5, 10)
    print("reported", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def files(tmp_path: Path) -> ProgressFiles:
    return ProgressFiles(tmp_path)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Return the clocks of the progress files, which advance only if a test moves them."""
    clock = SimpleNamespace(now=1000.0, cpu=5.0)
    clocks = SimpleNamespace(monotonic=lambda: clock.now, process_time=lambda: clock.cpu)
    monkeypatch.setattr(progress, "time", clocks)
    return clock


def planned_blocks(*seconds: float | None) -> list[PlannedBlock]:
    """Return planned blocks with these CPU seconds."""
    return [PlannedBlock(str(number), f"block {number}", known) for number, known in enumerate(seconds)]


def write_times(files: ProgressFiles, times: dict[int, float], process: int = 1) -> None:
    """Write the file of a process whose blocks took these wall seconds, and half of them in CPU seconds."""
    content = [[str(number), wall / 2, wall] for number, wall in times.items()]
    (files.folder / f"{process}.times").write_text("".join(f"{json.dumps(line)}\n" for line in content))


def test_share_is_one_if_all_blocks_are_finished_in_any_order(files: ProgressFiles, monkeypatch: pytest.MonkeyPatch):
    plan = planned_blocks(*(0.1 * number for number in range(1, 30)))
    done = [block.key for block in plan]
    for order in (done, done[::-1], sorted(done)):
        monkeypatch.setattr(ProgressFiles, "finished", lambda _, order=order: dict.fromkeys(order).keys())
        assert files.state(plan).share == pytest.approx(1)
        assert files.state(plan).share <= 1


# reports of trainers


def test_report_progress_has_no_effect_outside_of_context():
    reports: list[tuple[int, int]] = []
    report_progress(1, 10)
    with contextlib.suppress(ZeroDivisionError), progress_callback(lambda *numbers: reports.append(numbers)):
        report_progress(2, 1 // 0)
    report_progress(3, 10)
    assert reports == []


def test_progress_callback_is_restored_after_nested_context(capsys: pytest.CaptureFixture[str]):
    reports: list[tuple[int, int]] = []
    with progress_callback(lambda *numbers: reports.append(numbers)):
        report_progress(1, 3)
        with progress_callback(print):
            report_progress(2, 3)
        report_progress(3, 3)
    report_progress(4, 3)
    assert reports == [(1, 3), (3, 3)]
    assert capsys.readouterr().out == "2 3\n"


@pytest.mark.parametrize(
    ("lab", "expected_epochs"), [(Boston(epochs=3), [1, 2, 3]), (Curve(epochs=115), [*range(1, 101), 110, 115])]
)
def test_labs_report_progress_after_each_record(lab: Any, expected_epochs: list[int]):
    reports: list[tuple[int, int]] = []
    with progress_callback(lambda *numbers: reports.append(numbers)):
        lab.train([0])
    assert reports == [(epochs, lab.epochs) for epochs in expected_epochs]


# progress files


def test_plan_is_empty_before_it_is_written(files: ProgressFiles):
    assert files.plan() == []


def test_plan_is_read_by_other_process(files: ProgressFiles):
    blocks = [PlannedBlock("one", "größer → b", 1.5), PlannedBlock("two", "", None)]
    files.write_plan(blocks)
    assert ProgressFiles(files.folder).plan() == blocks


def test_state_shows_running_block_with_its_epochs(files: ProgressFiles):
    assert files.state(TIMED) == State(0.0, [])
    with files.training("one"):
        assert files.state(TIMED) == State(0.0, [])
        report_progress(5, 10)
        assert files.state(TIMED) == State(30 / 40 / 2, [("first", 5, 10)])


def test_state_counts_finished_block_as_whole(files: ProgressFiles):
    with files.training("one"):
        report_progress(5, 10)
        (files.folder / "one.npz").touch()
        assert list(files.folder.glob("*.current"))
        assert files.state(TIMED) == State(30 / 40, [])
    (files.folder / "two.npz").touch()
    assert files.state(TIMED) == State(1.0, [])


def test_state_counts_untimed_blocks_as_mean_of_others(files: ProgressFiles):
    blocks = planned_blocks(30.0, None, 10.0)
    (files.folder / "1.npz").touch()
    assert files.state(blocks).share == pytest.approx(20 / 60)
    assert files.state(planned_blocks(None, None, None, None)).share == pytest.approx(1 / 4)


def test_state_ignores_blocks_that_are_not_planned(files: ProgressFiles):
    (files.folder / "other.npz").touch()
    with files.training("another"):
        report_progress(5, 10)
        assert files.state(TIMED) == State(0.0, [])


def test_state_of_empty_plan_is_zero(files: ProgressFiles):
    assert files.state([]) == State(0.0, [])


def test_state_shows_blocks_of_two_processes(files: ProgressFiles):
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", CHILD, str(files.folder)], **pipes) as child, files.training("one"):
        assert child.stdout is not None
        assert child.stdout.readline() == "reported\n"
        report_progress(1, 10)
        state = files.state(TIMED)
        assert sorted(state.running) == [("first", 1, 10), ("second", 5, 10)]
        assert state.share == pytest.approx((3 + 5) / 40)
        child.communicate(timeout=60)
        assert files.state(TIMED).running == [("first", 1, 10)]


def test_training_writes_at_most_one_update_per_interval(files: ProgressFiles, clock: SimpleNamespace):
    with files.training("one"):
        for epochs, later in [(1, 0.0), (2, 0.1), (3, progress.INTERVAL / 2), (4, progress.INTERVAL), (5, 0.1)]:
            clock.now += later
            report_progress(epochs, 10)
            assert files.state(TIMED).running == [("first", 4 if epochs > 3 else 1, 10)]


def test_training_writes_first_update_of_each_block(files: ProgressFiles, clock: SimpleNamespace):
    for key, label in (("one", "first"), ("two", "second")):
        with files.training(key):
            report_progress(1, 10)
            assert files.state(TIMED).running == [(label, 1, 10)]


def test_training_leaves_only_times_of_block(files: ProgressFiles):
    with files.training("one"):
        report_progress(5, 10)
    with contextlib.suppress(ZeroDivisionError), files.training("two"):
        report_progress(5, 1 // 0)
    with contextlib.suppress(ZeroDivisionError), files.training("two"):
        report_progress(5, 10)
        report_progress(6, 1 // 0)
    with files.training("one"):
        pass
    assert [path.name for path in files.folder.iterdir()] == [f"{os.getpid()}.times"]
    assert files.measured().keys() == {"one"}


@pytest.mark.parametrize("place", ["gone", "gone/deeper", "a file"])
def test_training_ignores_folder_that_is_not_writable(tmp_path: Path, place: str):
    (tmp_path / "a file").touch()
    files = ProgressFiles(tmp_path / place)
    files.write_plan(TIMED)
    assert files.plan() == []
    with files.training("one"):
        report_progress(5, 10)
        assert files.state(TIMED) == State(0.0, [])


@pytest.mark.parametrize("content", ["", "[", '["one", 5'])
def test_state_ignores_incomplete_update(files: ProgressFiles, content: str):
    (files.folder / "1.current").write_text(content)
    (files.folder / "2.current").write_text('["two", 5, 10]')
    assert files.state(TIMED) == State(5 / 40, [("second", 5, 10)])


@pytest.mark.parametrize("content", ["", '[{"key": "one"'])
def test_plan_is_empty_if_incomplete(files: ProgressFiles, content: str):
    (files.folder / "plan.json").write_text(content)
    assert files.plan() == []


@pytest.mark.parametrize("numbers", [(0, 0), (5, 0), (np.int64(5), np.int64(10)), (20, 10)])
def test_training_accepts_any_reported_numbers(files: ProgressFiles, numbers: Any):
    with files.training("one"):
        report_progress(*numbers)
        assert 0 <= files.state(TIMED).share <= 1


@pytest.mark.parametrize("content", ["", '[{"nodeid": "one"'])
def test_tests_are_empty_if_missing_or_incomplete(files: ProgressFiles, content: str):
    assert files.tests() == []
    (files.folder / "tests.json").write_text(content)
    assert files.tests() == []


def test_collected_tests_are_read_by_other_process(files: ProgressFiles):
    tests = [CollectedTest("test_a.py::arm[größer]", "lab/a arm[größer]", "lab/a", "quick", selected=True)]
    files.write_tests(tests)
    assert ProgressFiles(files.folder).tests() == tests


# estimates


def test_expected_counts_untimed_blocks_as_mean_of_others():
    assert expected(planned_blocks(30.0, None, 10.0, None)) == 80
    assert expected(planned_blocks(None, None)) == expected([]) == 0


@pytest.mark.parametrize(
    ("seconds", "workers", "sentence"),
    [
        ([], 1, ""),
        ([None, None], 1, ""),
        ([9.0, 10.0], 1, ""),
        ([10.0, 10.0], 1, "training takes about 20 s"),
        ([89.0], 1, "training takes about 89 s"),
        ([60.0, 60.0], 1, "training takes about 2 min"),
        ([100.0] * 6, 1, "training takes about 10 min"),
        ([100.0] * 6, 2, "training takes about 5 min"),
        ([100.0] * 6, 16, "training takes about 5 min"),
        ([20.0, 19.0], 2, "training takes about 20 s"),
        ([15.0, 15.0], 2, ""),
        ([600.0, 1.0, 1.0], 2, "training takes about 10 min"),
        ([100.0, None, 200.0, None], 1, "training takes about 10 min (2 of 4 blocks have never been timed)"),
        ([8.0, None, None], 1, "training takes about 24 s (2 of 3 blocks have never been timed)"),
    ],
)
def test_estimate_is_sentence_about_duration(
    monkeypatch: pytest.MonkeyPatch, seconds: list[float | None], workers: int, sentence: str
):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert estimate(planned_blocks(*seconds), workers) == sentence


def test_estimate_assumes_one_core_if_number_is_unknown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert estimate(planned_blocks(30.0, 30.0), 4) == "training takes about 60 s"


@pytest.mark.parametrize(
    ("blocks", "text"),
    [
        ([("a", 600.0)], "training takes about 10 min"),
        ([("a", None), ("b", 600.0)], "training takes about 20 min (1 of 2 blocks have never been timed)"),
        ([("a", 600.0, True)], "training takes about 10 min on the machine that recorded the baselines; CORRECTED"),
        (
            [("a", 60.0), ("b", 30.0, True), ("c", None)],
            "training takes about 2 min on the machine that recorded the baselines "
            "(1 of 3 blocks have never been timed); CORRECTED",
        ),
        ([("a", 60.0), ("b", None, True)], "training takes about 2 min (1 of 2 blocks have never been timed)"),
        ([("a", 15.0, True)], ""),
    ],
)
def test_estimate_mentions_other_machine_that_timed_blocks(blocks: list[Any], text: str):
    plan = [PlannedBlock(key, "", *rest) for key, *rest in blocks]
    assert estimate(plan, 1) == text.replace("CORRECTED", "the estimate is corrected for this machine as blocks finish")


# corrected estimates


def test_plan_stores_whether_seconds_are_of_other_machine(files: ProgressFiles):
    blocks = [PlannedBlock("one", "", 1.5, elsewhere=True), PlannedBlock("two", "", 2.5)]
    files.write_plan(blocks)
    assert [block.elsewhere for block in files.plan()] == [True, False]


def test_training_writes_times_of_finished_blocks(files: ProgressFiles, clock: SimpleNamespace):
    for key, wall, cpu in (("one", 50.0, 40.0), ("two", 7.0, 6.5)):
        with files.training(key):
            report_progress(1, 2)
            clock.now, clock.cpu = clock.now + wall, clock.cpu + cpu
            assert key not in files.measured()
    with contextlib.suppress(ZeroDivisionError), files.training("three"):
        clock.now += 1 // 0
    (file,) = files.folder.iterdir()
    assert [json.loads(line) for line in file.read_text().splitlines()] == [["one", 40.0, 50.0], ["two", 6.5, 7.0]]
    assert files.measured() == {"one": 50.0, "two": 7.0}


def test_measured_joins_times_of_all_processes(files: ProgressFiles):
    assert files.measured() == {}
    write_times(files, {0: 50.0, 2: 7.0}, process=1)
    write_times(files, {1: 30.0}, process=2)
    (files.folder / "3.times").write_text('["4", 1')
    assert files.measured() == {"0": 50.0, "2": 7.0, "1": 30.0}


def test_remaining_is_unknown_until_block_has_ended(files: ProgressFiles):
    write_times(files, {7: 50.0})
    (files.folder / "0.npz").touch()
    (files.folder / "2.current").write_text('["1", 5, 10]')
    assert files.remaining(planned_blocks(10.0, 10.0), 1) is None


@pytest.mark.parametrize(("workers", "remaining"), [(1, 750.0), (2, 375.0), (3, 250.0), (4, 250.0)])
def test_remaining_scales_planned_seconds_by_ended_blocks(files: ProgressFiles, workers: int, remaining: float):
    plan = planned_blocks(80.0, 20.0, 50.0, 50.0, 50.0, 1000.0)
    write_times(files, {0: 420.0}, process=1)
    write_times(files, {1: 80.0}, process=2)
    (files.folder / "5.npz").touch()  # trained and stored by another session
    assert files.remaining(plan, workers) == pytest.approx(remaining)


def test_remaining_counts_running_blocks_by_their_epochs(files: ProgressFiles):
    write_times(files, {0: 500.0})
    (files.folder / "1.current").write_text('["1", 6, 10]')
    (files.folder / "2.current").write_text('["0", 6, 10]')
    (files.folder / "3.current").write_text('["other", 6, 10]')
    assert files.remaining(planned_blocks(100.0, 100.0), 1) == pytest.approx(200)
    assert files.remaining(planned_blocks(100.0, 100.0, 100.0), 2) == pytest.approx(500)


@pytest.mark.parametrize(
    ("seconds", "times", "remaining"),
    [
        ([None, None, None], {0: 40.0}, 80.0),
        ([None, None, None, None], {0: 40.0, 1: 20.0}, 60.0),
        ([10.0, 30.0, None], {0: 50.0}, 150.0 + 100.0),
        ([10.0, 30.0, None, None], {0: 50.0, 2: 7.0}, 150.0 + 7.0),
        ([10.0, 30.0, None, None], {2: 7.0}, 10.0 + 30.0 + 7.0),
        ([0.0, 30.0], {0: 7.0}, 30.0),
        ([10.0], {0: 7.0}, 0.0),
    ],
)
def test_remaining_counts_untimed_blocks_as_mean_of_others(
    files: ProgressFiles, seconds: list[float | None], times: dict[int, float], remaining: float
):
    write_times(files, times)
    assert files.remaining(planned_blocks(*seconds), 1) == pytest.approx(remaining)


def test_state_weights_blocks_by_their_seconds_here(files: ProgressFiles):
    write_times(files, {2: 80.0})
    assert files.state(planned_blocks(10.0, 10.0, None)).share == pytest.approx(80 / 100)
    write_times(files, {0: 50.0, 2: 80.0})
    (files.folder / "1.current").write_text('["1", 4, 10]')
    assert files.state(planned_blocks(10.0, 10.0, None)) == State(150 / 180, [("block 1", 4, 10)])


@pytest.mark.parametrize(
    ("elapsed", "remaining", "before", "text"),
    [
        (900, 2460, 660, "56 min on this machine, 41 min of it remaining (11 min were expected)"),
        (900, 2460, 0, "56 min on this machine, 41 min of it remaining"),
        (60, 120, 660, "3 min on this machine, 2 min of it remaining (11 min were expected)"),
        (22, 65, 10, "87 s on this machine, 65 s of it remaining (10 s were expected)"),
        (900, 59, 60, ""),
        (500, 480, 660, ""),
        (500, 500, 660, "17 min on this machine, 8 min of it remaining (11 min were expected)"),
        (100, 345, 660, ""),
        (100, 335, 660, "7 min on this machine, 6 min of it remaining (11 min were expected)"),
    ],
)
def test_correction_is_made_if_estimate_is_far_off(elapsed: float, remaining: float, before: float, text: str):
    assert correction(elapsed, remaining, before) == (text and f"training takes about {text}")


# plans


def counted(name: str, level: float, tmp_path: Path, cpu_seconds: dict[str, float] | None) -> Claim:
    """Return a claim whose arms have level 1 and another one, with a baseline of 6 seeds unless no times are given."""
    claim = Claim(
        id=f"counted/{name}", statement="", citation="", lab=Counted, relations=[beats("a", "b", TEST_ERROR)],
        arms={"a": Arm(), "b": Arm({"level": level})}, seeds={"quick": 6},
    )  # fmt: skip
    if cpu_seconds is not None:
        stored = Baseline(claim.id, "quick", {"name": "none", "digest": "0"}, 6, {}, cpu_seconds=cpu_seconds)
        baselines.write(stored, baselines.path(tmp_path, claim.id, "quick", "none"))
    return claim


def planned_seconds(tmp_path: Path, *claims: Claim, seeds: int | None = None) -> list[tuple[str, float | None]]:
    session = Session(TrialStore(tmp_path), tmp_path, seeds=range(seeds) if seeds else None)
    checks = [spec.resolve(session) for claim in claims for spec in build_checks(claim)]
    blocks = plan(checks).blocks
    assert [session.store.key(block) for block in blocks] == [planned.key for planned in blocks.values()]
    return [(block.label, block.seconds) for block in blocks.values()]


def test_plan_has_each_block_once_with_its_seconds(tmp_path: Path):
    assert planned_seconds(tmp_path, counted("one", 2.0, tmp_path, {"a": 8.0})) == [
        ("counted/one a seeds 0-3", 4.0),
        ("counted/one a seeds 4-7", 4.0),
        ("counted/one b seeds 0-3", None),
        ("counted/one b seeds 4-7", None),
    ]


def test_plan_has_seconds_per_block_for_more_seeds(tmp_path: Path):
    blocks = planned_seconds(tmp_path, counted("one", 2.0, tmp_path, {"a": 8.0, "b": 2.0}), seeds=9)
    assert [seconds for _, seconds in blocks] == [4.0] * 3 + [1.0] * 3


def test_plan_has_block_of_two_claims_once(tmp_path: Path):
    one, two = counted("one", 2.0, tmp_path, None), counted("two", 3.0, tmp_path, {"a": 8.0, "b": 6.0})
    assert planned_seconds(tmp_path, one, two)[1:4] == [
        ("counted/two a seeds 4-7", 4.0),
        ("counted/one b seeds 0-3", None),
        ("counted/one b seeds 4-7", None),
    ]
    assert [seconds for _, seconds in planned_seconds(tmp_path, two, one)] == [4.0, 4.0, 3.0, 3.0, None, None]


def test_plan_has_no_seconds_of_broken_baseline(tmp_path: Path):
    claim = counted("one", 2.0, tmp_path, {"a": 8.0})
    baselines.path(tmp_path, claim.id, "quick", "none").write_text("{")
    assert {seconds for _, seconds in planned_seconds(tmp_path, claim)} == {None}
