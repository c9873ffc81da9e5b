"""How far a session is: what loops tell, the notes that its processes keep, and how long it will take."""

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

from labcheck.core.claims import Arm, Claim
from labcheck.core.comparisons import beats
from labcheck.engine import baselines, progress
from labcheck.engine.baselines import Baseline
from labcheck.engine.checks import checks
from labcheck.engine.planning import plan
from labcheck.engine.progress import PlannedBlock, ProgressFiles, State, correction, estimate, expected, tell
from labcheck.engine.session import Session
from labcheck.engine.store import TrialStore
from labcheck.labs.boston import Boston
from labcheck.labs.curve import Curve

from .test_report import ERROR
from .test_trials import Counted

TIMED = [PlannedBlock("one", "first", 30.0), PlannedBlock("two", "second", 10.0)]
CHILD = """
import sys
from pathlib import Path
from labcheck.engine.progress import ProgressFiles, tell

with ProgressFiles(Path(sys.argv[1])).training("two"):
    tell(5, 10)
    print("told", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    return ProgressFiles(tmp_path)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The clocks of the notes, which stand still."""
    clock = SimpleNamespace(now=1000.0, cpu=5.0)
    clocks = SimpleNamespace(monotonic=lambda: clock.now, process_time=lambda: clock.cpu)
    monkeypatch.setattr(progress, "time", clocks)
    return clock


def of(*seconds: float | None) -> list[Planned]:
    """Blocks that took so long."""
    return [PlannedBlock(str(number), f"block {number}", taken) for number, taken in enumerate(seconds)]


def ended(notes: ProgressFiles, times: dict[int, float], process: int = 1) -> None:
    """Write the note of a process whose blocks ended after these wall seconds, each in half as many CPU seconds."""
    content = [[str(number), wall / 2, wall] for number, wall in times.items()]
    (notes.folder / f"{process}.times").write_text(json.dumps(content))


def test_all_done_is_all_and_no_more_in_whatever_order_it_is_counted(
    notes: ProgressFiles, monkeypatch: pytest.MonkeyPatch
):
    plan = of(*(0.1 * number for number in range(1, 30)))
    done = [block.key for block in plan]
    for order in (done, done[::-1], sorted(done)):
        monkeypatch.setattr(ProgressFiles, "finished", lambda _, order=order: dict.fromkeys(order).keys())
        assert notes.state(plan).share == pytest.approx(1)
        assert notes.state(plan).share <= 1


# what loops tell


def test_nobody_has_to_listen():
    heard: list[tuple[int, int]] = []
    tell(1, 10)
    with contextlib.suppress(ZeroDivisionError), progress_callback(lambda *told: heard.append(told)):
        tell(2, 1 // 0)
    tell(3, 10)
    assert heard == []


def test_who_listened_before_hears_again_afterwards(capsys: pytest.CaptureFixture[str]):
    heard: list[tuple[int, int]] = []
    with progress_callback(lambda *told: heard.append(told)):
        tell(1, 3)
        with progress_callback(print):
            tell(2, 3)
        tell(3, 3)
    tell(4, 3)
    assert heard == [(1, 3), (3, 3)]
    assert capsys.readouterr().out == "2 3\n"


@pytest.mark.parametrize(
    ("lab", "told"), [(Boston(epochs=3), [1, 2, 3]), (Curve(epochs=115), [*range(1, 101), 110, 115])]
)
def test_labs_tell_after_each_epoch_that_they_look_at(lab: Any, told: list[int]):
    heard: list[tuple[int, int]] = []
    with progress_callback(lambda *told: heard.append(told)):
        lab.train([0])
    assert heard == [(epochs, lab.epochs) for epochs in told]


# the notes


def test_a_session_that_planned_nothing_has_no_plan(notes: ProgressFiles):
    assert notes.plan() == []


def test_what_one_process_plans_another_reads(notes: ProgressFiles):
    blocks = [PlannedBlock("one", "größer → b", 1.5), PlannedBlock("two", "", None)]
    notes.plan(blocks)
    assert ProgressFiles(notes.folder).plan() == blocks


def test_a_block_that_runs_is_shown_with_its_epochs(notes: ProgressFiles):
    assert notes.state(TIMED) == State(0.0, [])
    with notes.training("one"):
        assert notes.state(TIMED) == State(0.0, [])
        tell(5, 10)
        assert notes.state(TIMED) == State(30 / 40 / 2, [("first", 5, 10)])


def test_a_block_that_is_finished_counts_whole_and_runs_no_more(notes: ProgressFiles):
    with notes.training("one"):
        tell(5, 10)
        (notes.folder / "one.npz").touch()
        assert list(notes.folder.glob("*.now"))
        assert notes.state(TIMED) == State(30 / 40, [])
    (notes.folder / "two.npz").touch()
    assert notes.state(TIMED) == State(1.0, [])


def test_blocks_that_were_never_timed_are_taken_for_usual_ones(notes: ProgressFiles):
    blocks = of(30.0, None, 10.0)
    (notes.folder / "1.npz").touch()
    assert notes.state(blocks).share == pytest.approx(20 / 60)
    assert notes.state(of(None, None, None, None)).share == pytest.approx(1 / 4)


def test_blocks_that_are_not_planned_are_not_shown(notes: ProgressFiles):
    (notes.folder / "other.npz").touch()
    with notes.training("another"):
        tell(5, 10)
        assert notes.state(TIMED) == State(0.0, [])


def test_nothing_planned_is_nothing_done(notes: ProgressFiles):
    assert notes.state([]) == State(0.0, [])


def test_what_two_processes_train_is_shown_together(notes: ProgressFiles):
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", CHILD, str(notes.folder)], **pipes) as child, notes.training("one"):
        assert child.stdout.readline() == "told\n"
        tell(1, 10)
        state = notes.state(TIMED)
        assert sorted(state.running) == [("first", 1, 10), ("second", 5, 10)]
        assert state.share == pytest.approx((3 + 5) / 40)
        child.communicate(timeout=60)
        assert notes.state(TIMED).running == [("first", 1, 10)]


def test_a_loop_that_tells_often_is_noted_now_and_then(notes: ProgressFiles, clock: SimpleNamespace):
    with notes.training("one"):
        for epochs, later in [(1, 0.0), (2, 0.1), (3, progress.INTERVAL / 2), (4, progress.INTERVAL), (5, 0.1)]:
            clock.now += later
            tell(epochs, 10)
            assert notes.state(TIMED).running == [("first", 4 if epochs > 3 else 1, 10)]


def test_each_block_is_noted_from_its_first_word(notes: ProgressFiles, clock: SimpleNamespace):
    for key, label in (("one", "first"), ("two", "second")):
        with notes.training(key):
            tell(1, 10)
            assert notes.state(TIMED).running == [(label, 1, 10)]


def test_only_its_times_are_left_of_a_block(notes: ProgressFiles):
    with notes.training("one"):
        tell(5, 10)
    with contextlib.suppress(ZeroDivisionError), notes.training("two"):
        tell(5, 1 // 0)
    with contextlib.suppress(ZeroDivisionError), notes.training("two"):
        tell(5, 10)
        tell(6, 1 // 0)
    with notes.training("one"):
        pass
    assert [path.name for path in notes.folder.iterdir()] == [f"{os.getpid()}.times"]
    assert notes.measured().keys() == {"one"}


@pytest.mark.parametrize("place", ["gone", "gone/deeper", "a file"])
def test_a_folder_that_cannot_be_written_is_only_not_shown(tmp_path: Path, place: str):
    (tmp_path / "a file").touch()
    notes = ProgressFiles(tmp_path / place)
    notes.plan(TIMED)
    assert notes.plan() == []
    with notes.training("one"):
        tell(5, 10)
        assert notes.state(TIMED) == State(0.0, [])


@pytest.mark.parametrize("half", ["", "[", '["one", 5'])
def test_a_note_that_is_half_written_is_only_not_shown(notes: ProgressFiles, half: str):
    (notes.folder / "1.now").write_text(half)
    (notes.folder / "2.now").write_text('["two", 5, 10]')
    assert notes.state(TIMED) == State(5 / 40, [("second", 5, 10)])


@pytest.mark.parametrize("half", ["", '[{"key": "one"'])
def test_a_plan_that_is_half_written_is_none(notes: ProgressFiles, half: str):
    (notes.folder / "plan.json").write_text(half)
    assert notes.plan() == []


@pytest.mark.parametrize("told", [(0, 0), (5, 0), (np.int64(5), np.int64(10)), (20, 10)])
def test_whatever_a_loop_tells_does_not_stop_it(notes: ProgressFiles, told: Any):
    with notes.training("one"):
        tell(*told)
        assert 0 <= notes.state(TIMED).share <= 1


# how long it will take


def test_what_is_expected_counts_unknown_blocks_as_usual_ones():
    assert expected(of(30.0, None, 10.0, None)) == 80
    assert expected(of(None, None)) == expected([]) == 0


@pytest.mark.parametrize(
    ("seconds", "workers", "told"),
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
        ([100.0, None, 200.0, None], 1, "training takes about 10 min (2 of 4 blocks were never timed)"),
        ([8.0, None, None], 1, "training takes about 24 s (2 of 3 blocks were never timed)"),
    ],
)
def test_how_long_it_takes_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, seconds: list[float | None], workers: int, told: str
):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert estimate(of(*seconds), workers) == told


def test_workers_share_one_core_where_no_number_of_cores_is_known(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert estimate(of(30.0, 30.0), 4) == "training takes about 60 s"


@pytest.mark.parametrize(
    ("blocks", "text"),
    [
        ([("a", 600.0)], "training takes about 10 min"),
        ([("a", None), ("b", 600.0)], "training takes about 20 min (1 of 2 blocks were never timed)"),
        ([("a", 600.0, True)], "training takes about 10 min on the machine that recorded the baselines; CORRECTED"),
        (
            [("a", 60.0), ("b", 30.0, True), ("c", None)],
            "training takes about 2 min on the machine that recorded the baselines (1 of 3 blocks were never timed); "
            "CORRECTED",
        ),
        ([("a", 60.0), ("b", None, True)], "training takes about 2 min (1 of 2 blocks were never timed)"),
        ([("a", 15.0, True)], ""),
    ],
)
def test_estimate_names_the_other_machine_that_timed_blocks(blocks: list[Any], text: str):
    plan = [PlannedBlock(key, "", *rest) for key, *rest in blocks]
    assert estimate(plan, 1) == text.replace("CORRECTED", "the estimate is corrected for this one as blocks end")


# estimates of this machine


def test_plan_keeps_where_its_seconds_were_recorded(notes: ProgressFiles):
    blocks = [PlannedBlock("one", "", 1.5, elsewhere=True), PlannedBlock("two", "", 2.5)]
    notes.plan(blocks)
    assert [block.elsewhere for block in notes.plan()] == [True, False]


def test_training_notes_the_times_of_blocks_that_ended(notes: ProgressFiles, clock: SimpleNamespace):
    for key, wall, cpu in (("one", 50.0, 40.0), ("two", 7.0, 6.5)):
        with notes.training(key):
            tell(1, 2)
            clock.now, clock.cpu = clock.now + wall, clock.cpu + cpu
            assert key not in notes.measured()
    with contextlib.suppress(ZeroDivisionError), notes.training("three"):
        clock.now += 1 // 0
    (file,) = notes.folder.iterdir()
    assert json.loads(file.read_text()) == [["one", 40.0, 50.0], ["two", 6.5, 7.0]]
    assert notes.measured() == {"one": 50.0, "two": 7.0}


def test_measured_joins_the_notes_of_all_processes(notes: ProgressFiles):
    assert notes.measured() == {}
    ended(notes, {0: 50.0, 2: 7.0}, process=1)
    ended(notes, {1: 30.0}, process=2)
    (notes.folder / "3.times").write_text('[["4", 1')
    assert notes.measured() == {"0": 50.0, "2": 7.0, "1": 30.0}


def test_left_is_unknown_until_a_block_has_ended(notes: ProgressFiles):
    ended(notes, {7: 50.0})
    (notes.folder / "0.npz").touch()
    (notes.folder / "2.now").write_text('["1", 5, 10]')
    assert notes.remaining(of(10.0, 10.0), 1) is None


@pytest.mark.parametrize(("workers", "left"), [(1, 750.0), (2, 375.0), (3, 250.0), (4, 250.0)])
def test_left_scales_planned_seconds_by_ended_blocks(notes: ProgressFiles, workers: int, left: float):
    plan = of(80.0, 20.0, 50.0, 50.0, 50.0, 1000.0)
    ended(notes, {0: 420.0}, process=1)
    ended(notes, {1: 80.0}, process=2)
    (notes.folder / "5.npz").touch()  # another session has trained and stored it
    assert notes.remaining(plan, workers) == pytest.approx(left)


def test_left_counts_running_blocks_by_their_epochs(notes: ProgressFiles):
    ended(notes, {0: 500.0})
    (notes.folder / "1.now").write_text('["1", 6, 10]')
    (notes.folder / "2.now").write_text('["0", 6, 10]')
    (notes.folder / "3.now").write_text('["other", 6, 10]')
    assert notes.remaining(of(100.0, 100.0), 1) == pytest.approx(200)
    assert notes.remaining(of(100.0, 100.0, 100.0), 2) == pytest.approx(500)


@pytest.mark.parametrize(
    ("planned", "times", "left"),
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
def test_left_takes_untimed_blocks_for_usual_ones(
    notes: ProgressFiles, planned: list[float | None], times: dict[int, float], left: float
):
    ended(notes, times)
    assert notes.remaining(of(*planned), 1) == pytest.approx(left)


def test_state_weighs_blocks_by_what_they_take_here(notes: ProgressFiles):
    ended(notes, {2: 80.0})
    assert notes.state(of(10.0, 10.0, None)).share == pytest.approx(80 / 100)
    ended(notes, {0: 50.0, 2: 80.0})
    (notes.folder / "1.now").write_text('["1", 4, 10]')
    assert notes.state(of(10.0, 10.0, None)) == State(pytest.approx(150 / 180), [("block 1", 4, 10)])


@pytest.mark.parametrize(
    ("elapsed", "left", "before", "text"),
    [
        (900, 2460, 660, "56 min on this machine, 41 min of them left (11 min were expected)"),
        (900, 2460, 0, "56 min on this machine, 41 min of them left"),
        (60, 120, 660, "3 min on this machine, 2 min of them left (11 min were expected)"),
        (22, 65, 10, "87 s on this machine, 65 s of them left (10 s were expected)"),
        (900, 59, 60, ""),
        (500, 480, 660, ""),
        (500, 500, 660, "17 min on this machine, 8 min of them left (11 min were expected)"),
        (100, 345, 660, ""),
        (100, 335, 660, "7 min on this machine, 6 min of them left (11 min were expected)"),
    ],
)
def test_correction_is_made_of_an_estimate_that_is_far_off(elapsed: float, left: float, before: float, text: str):
    assert correction(elapsed, left, before) == (text and f"training takes about {text}")


# what is planned


def counted(name: str, level: float, tmp_path: Path, cpu_seconds: dict[str, float] | None) -> Claim:
    """A claim of two arms, 1 and another one, recorded with 6 seeds in blocks of 4 unless nothing was timed."""
    claim = Claim(
        id=f"counted/{name}", statement="", source="", lab=Counted, relations=[beats("a", "b", ERROR)],
        arms={"a": Arm(), "b": Arm({"level": level})}, seeds={"quick": 6},
    )  # fmt: skip
    if cpu_seconds is not None:
        stored = Baseline(claim.id, "quick", {"name": "none", "digest": "0"}, 6, {}, cpu_seconds=cpu_seconds)
        baselines.write(stored, baselines.path(tmp_path, claim.id, "quick", "none"))
    return claim


def planned(tmp_path: Path, *claims: Claim, seeds: int | None = None) -> list[tuple[str, float | None]]:
    session = Session(TrialStore(tmp_path), tmp_path, seeds=seeds)
    blocks = plan([check for claim in claims for check in checks(claim)], session).blocks
    assert [session.store.key(block) for block in blocks] == [told.key for told in blocks.values()]
    return [(block.label, block.seconds) for block in blocks.values()]


def test_the_plan_names_each_block_once_and_says_how_long_it_took(tmp_path: Path):
    assert planned(tmp_path, counted("one", 2.0, tmp_path, {"a": 8.0})) == [
        ("counted/one a seeds 0-3", 4.0),
        ("counted/one a seeds 4-7", 4.0),
        ("counted/one b seeds 0-3", None),
        ("counted/one b seeds 4-7", None),
    ]


def test_more_seeds_than_recorded_take_longer(tmp_path: Path):
    blocks = planned(tmp_path, counted("one", 2.0, tmp_path, {"a": 8.0, "b": 2.0}), seeds=9)
    assert [seconds for _, seconds in blocks] == [4.0] * 3 + [1.0] * 3


def test_a_block_of_two_claims_is_planned_once_and_either_may_have_timed_it(tmp_path: Path):
    one, two = counted("one", 2.0, tmp_path, None), counted("two", 3.0, tmp_path, {"a": 8.0, "b": 6.0})
    assert planned(tmp_path, one, two)[1:4] == [
        ("counted/two a seeds 4-7", 4.0),
        ("counted/one b seeds 0-3", None),
        ("counted/one b seeds 4-7", None),
    ]
    assert [seconds for _, seconds in planned(tmp_path, two, one)] == [4.0, 4.0, 3.0, 3.0, None, None]


def test_a_baseline_that_cannot_be_read_has_timed_nothing(tmp_path: Path):
    claim = counted("one", 2.0, tmp_path, {"a": 8.0})
    baselines.path(tmp_path, claim.id, "quick", "none").write_text("{")
    assert {seconds for _, seconds in planned(tmp_path, claim)} == {None}
