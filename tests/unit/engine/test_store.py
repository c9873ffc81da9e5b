"""The store of trials: each block is trained once, whole, and no failure loses a result or blocks a process."""

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from labcheck import Lab, Trials, report_progress
from labcheck.engine import baselines, progress
from labcheck.engine.store import Block, TrainingError, TrialStore, blocks
from tests.helpers.claims import Counted
from tests.helpers.project import LAB, Project, Recorded, count_lines

CHILD = """
import pathlib, sys, time
from labcheck.engine.store import TrialStore
from toy import Toy

here = pathlib.Path(sys.argv[1])
(here / "ready").touch()
while not (here / "go").exists():
    time.sleep(0.001)
store = TrialStore(here / "store")
print(sum(store.trials(Toy(level=level), range(24), "cpu").metrics["error"].sum() for level in (1.0, 2.0, 3.0)))
"""


@dataclass(frozen=True, kw_only=True)
class Vandal(Counted):
    """A lab that removes the folder in which its trials would be shared."""

    folder: Path

    def train(self, seeds: Sequence[int], device: str = "cpu") -> Trials:
        shutil.rmtree(self.folder)
        return super().train(seeds, device)


@dataclass(frozen=True, kw_only=True)
class Broken(Counted):
    def train(self, seeds: Sequence[int], device: str = "cpu") -> Trials:
        super().train(seeds, device)
        raise ValueError("no luck")


def needed_by_one_test(*labs: Lab, seeds: int) -> dict[Block, set[str]]:
    return {block: {"a test"} for lab in labs for block in blocks(lab, range(seeds), "cpu")}


def errors(store: TrialStore, lab: Lab, seeds: int) -> list[float]:
    return [float(value) for value in store.trials(lab, range(seeds), "cpu").metrics["error"]]


@pytest.fixture
def store(tmp_path: Path) -> TrialStore:
    return TrialStore(tmp_path)


@pytest.mark.parametrize(("seeds", "starts"), [(1, [0]), (4, [0]), (5, [0, 4]), (12, [0, 4, 8])])
def test_store_trains_whole_blocks_that_contain_seeds(store: TrialStore, seeds: int, starts: list[int]):
    lab = Counted()
    assert errors(store, lab, seeds) == [1.0 + seed for seed in range(seeds)]
    assert lab.calls == [(1.0, [start, start + 1, start + 2, start + 3]) for start in starts]
    assert blocks(lab, range(seeds), "cpu") == [Block(lab, start // 4, "cpu") for start in starts]


def test_store_trains_block_once(store: TrialStore):
    lab = Counted()
    assert errors(store, lab, 6)[:3] == errors(store, lab, 3)
    assert len(lab.calls) == 2


def test_store_reads_blocks_of_other_store_of_folder(store: TrialStore):
    lab = Counted()
    trained = store.trials(lab, range(6), "cpu")
    read = TrialStore(store.folder).trials(lab, range(6), "cpu")
    assert len(lab.calls) == 2
    for part in ("metrics", "curves"):
        np.testing.assert_equal(getattr(read, part), getattr(trained, part))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Return a clock of CPU time, which advances only if a test moves it."""
    clock = SimpleNamespace(now=5.0)
    monkeypatch.setattr("labcheck.engine.store.time", SimpleNamespace(process_time=lambda: clock.now))
    return clock


@dataclass(frozen=True, kw_only=True)
class Slow(Counted):
    """A lab whose training takes as many seconds as the number of its last seed."""

    clock: SimpleNamespace = field(compare=False, repr=False)

    def train(self, seeds: Sequence[int], device: str = "cpu") -> Trials:
        self.clock.now += seeds[-1]
        return super().train(seeds, device)


def test_seconds_are_those_of_whole_blocks(store: TrialStore, clock: SimpleNamespace):
    lab = Slow(clock=clock)
    store.trials(lab, range(12), "cpu")
    clock.now += 1000
    assert [store.seconds(lab, range(seeds), "cpu") for seeds in (1, 4, 5, 12)] == [3, 3, 10, 21]
    assert len(lab.calls) == 3


def test_seconds_of_block_are_stored_with_it(store: TrialStore, clock: SimpleNamespace):
    lab = Slow(clock=clock)
    store.trials(lab, range(8), "cpu")
    assert TrialStore(store.folder).seconds(lab, range(8), "cpu") == 10
    assert len(lab.calls) == 2


def test_seconds_of_block_do_not_include_other_blocks(store: TrialStore, clock: SimpleNamespace):
    one, two = Slow(clock=clock), Slow(clock=clock, level=2.0)
    store.expect(needed_by_one_test(one, two, seeds=4))
    assert store.seconds(two, range(4), "cpu") == store.seconds(one, range(4), "cpu") == 3


def test_seconds_remain_in_process_if_block_cannot_be_shared(tmp_path: Path):
    store = TrialStore(tmp_path / "store")
    store.folder.mkdir()
    lab = Vandal(folder=store.folder)
    seconds = store.seconds(lab, range(4), "cpu")
    assert seconds == store.seconds(lab, range(4), "cpu") >= 0
    assert len(lab.calls) == 1


def test_store_writes_progress_while_block_trains(store: TrialStore):
    states = []

    class Reporting(Counted):
        def train(self, seeds: Sequence[int], device: str = "cpu") -> Trials:
            report_progress(3, 10)
            states.append(store.progress.state(plan))
            return super().train(seeds, device)

    lab = Reporting()
    block = Block(lab, 1, "cpu")
    plan = [progress.PlannedBlock(store.key(block), "counted/claim a seeds 4-7", 1.0)]
    store.trials(lab, range(8), "cpu")
    assert [state.running for state in states] == [[], [("counted/claim a seeds 4-7", 3, 10)]]
    assert store.progress.state(plan) == progress.State(1.0, [])


@pytest.mark.parametrize(
    "other", [Block(Counted(level=2.0), 0, "cpu"), Block(Counted(), 1, "cpu"), Block(Counted(), 0, "cuda"),
              Block(Broken(), 0, "cpu")]
)  # fmt: skip
def test_key_differs_with_settings_seeds_device_and_lab(other: Block, store: TrialStore):
    assert store.key(other) != store.key(Block(Counted(), 0, "cpu"))
    assert store.key(other) == store.key(replace(other))


def test_block_remains_in_process_if_it_cannot_be_shared(tmp_path: Path):
    store = TrialStore(tmp_path / "store")
    store.folder.mkdir()
    lab = Vandal(folder=store.folder)
    assert errors(store, lab, 2) == [1.0, 2.0]
    assert "trials could not be shared" in store.problem
    assert errors(store, lab, 4) == [1.0, 2.0, 3.0, 4.0]
    assert len(lab.calls) == 1


def test_block_remains_in_process_if_it_cannot_be_locked(tmp_path: Path):
    (tmp_path / "file").touch()
    store = TrialStore(tmp_path, tmp_path / "file" / "store")
    lab = Counted()
    for _ in range(2):
        assert errors(store, lab, 2) == [1.0, 2.0]
    assert "trials could not be shared" in store.problem
    assert len(lab.calls) == 1


def test_block_that_raises_is_trained_once(store: TrialStore):
    lab = Broken()
    for again in (store, store, TrialStore(store.folder)):
        with pytest.raises(TrainingError, match=r"^seeds 0-3: ValueError: no luck$") as caught:
            again.trials(lab, range(1), "cpu")
        assert 'raise ValueError("no luck")' in caught.value.traceback
        assert "labcheck/" not in caught.value.traceback
    assert len(lab.calls) == 1
    assert list(store.folder.glob("*.npz")) == []


def test_block_that_raised_is_trained_again_after_retry(store: TrialStore):
    lab = Broken()
    for _ in range(2):
        store.retry(blocks(lab, range(1), "cpu"))
        with pytest.raises(TrainingError):
            store.trials(lab, range(1), "cpu")
    assert len(lab.calls) == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_interrupted_block_is_trained_again(store: TrialStore, error: type[BaseException]):
    class Interrupted(Counted):
        def train(self, seeds: Sequence[int], device: str = "cpu") -> Trials:
            super().train(seeds, device)
            raise error

    lab = Interrupted()
    for _ in range(2):
        with pytest.raises(error):
            store.trials(lab, range(1), "cpu")
    assert len(lab.calls) == 2
    assert list(store.folder.glob("*.failed")) == []


def test_block_that_timed_out_is_not_trained_ahead(store: TrialStore):
    class OutOfTimeError(BaseException):
        """An exception that is no Exception, as that of a timeout in pytest."""

    class Endless(Counted):
        def train(self, seeds: Sequence[int], device: str = "cpu") -> Trials:
            super().train(seeds, device)
            raise OutOfTimeError

    lab = Endless()
    store.expect(needed_by_one_test(lab, seeds=4))
    with pytest.raises(OutOfTimeError):
        store.trials(lab, range(4), "cpu")
    other = TrialStore(store.folder)
    other.expect(needed_by_one_test(lab, seeds=4))
    other.train_ahead()
    assert len(lab.calls) == 1
    with pytest.raises(OutOfTimeError):  # a test that needs it may have more time
        other.trials(lab, range(4), "cpu")


def test_block_of_finished_tests_is_not_trained_ahead(store: TrialStore):
    lab = Counted()
    first, second = blocks(lab, range(8), "cpu")
    store.expect({first: {"a", "b"}, second: {"a"}})
    TrialStore(store.folder).progress.finish("a")
    store.train_ahead()
    assert [list(seeds) for _, seeds in lab.calls] == [[0, 1, 2, 3]]


def test_store_trains_other_block_while_needed_one_is_locked(store: TrialStore):
    calls: list[tuple[float, list[int]]] = []
    needed, broken, later = Counted(calls=calls), Broken(level=2.0, calls=calls), Counted(level=3.0, calls=calls)
    store.expect(needed_by_one_test(needed, broken, later, seeds=4))
    path = store.folder / f"{store.key(Block(needed, 0, 'cpu'))}.npz"
    other = TrialStore(store.folder / "other")
    other.folder.mkdir()
    other.trials(Counted(level=7.0), range(4), "cpu")
    with FileLock(path.with_suffix(".lock")):
        thread = threading.Thread(target=store.trials, args=(needed, range(4), "cpu"), daemon=True)
        thread.start()
        wait_for(lambda: list(store.folder.glob("*.npz")))
        assert [level for level, _ in calls] == [2.0, 3.0]
        next(other.folder.glob("*.npz")).rename(path)  # the other process has finished
    thread.join(timeout=30)
    assert not thread.is_alive()
    assert errors(store, needed, 2) == [7.0, 14.0]
    assert [level for level, _ in calls] == [2.0, 3.0]


def test_train_ahead_trains_expected_blocks_without_lock(store: TrialStore):
    lab = Counted()
    store.expect(needed_by_one_test(lab, seeds=16))
    store.trials(lab, range(4), "cpu")
    with FileLock(store.folder / f"{store.key(Block(lab, 2, 'cpu'))}.lock"):
        store.train_ahead()
    assert [list(seeds) for _, seeds in lab.calls] == [[0, 1, 2, 3], [4, 5, 6, 7], [12, 13, 14, 15]]
    store.train_ahead()
    assert len(lab.calls) == 3


def test_train_ahead_stops_when_session_ends(store: TrialStore):
    lab = Counted()
    store.expect(needed_by_one_test(lab, seeds=16))
    store.progress.end()
    store.train_ahead()
    assert lab.calls == []


def test_train_ahead_does_not_load_stored_blocks(store: TrialStore):
    lab = Counted()
    TrialStore(store.folder).trials(lab, range(16), "cpu")
    store.expect(needed_by_one_test(lab, seeds=20))
    store.train_ahead()
    assert list(store._loaded) == [store.key(Block(lab, 4, "cpu"))]


def test_train_ahead_stops_if_blocks_cannot_be_shared(store: TrialStore):
    lab = Vandal(folder=store.folder)
    store.expect(needed_by_one_test(lab, seeds=16))
    store.train_ahead()
    assert len(lab.calls) == 1


def wait_for(condition: Any) -> None:
    pause = threading.Event()
    for _ in range(3000):
        if condition():
            return
        pause.wait(0.01)
    raise TimeoutError


@pytest.mark.slow
def test_two_processes_train_each_block_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TOY", "import time; time.sleep(.03)")
    (tmp_path / "toy.py").write_text(LAB)
    (tmp_path / "child.py").write_text(CHILD)
    (tmp_path / "store").mkdir()
    sides = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "store").symlink_to(tmp_path / "store")
        command = [sys.executable, str(tmp_path / "child.py"), str(tmp_path / name)]
        sides.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    try:
        wait_for(lambda: all((tmp_path / name / "ready").exists() for name in ("one", "two")))
        for name in ("one", "two"):
            (tmp_path / name / "go").touch()
        outputs = [side.communicate(timeout=60) for side in sides]
    finally:
        for side in sides:
            side.kill()
    assert [side.returncode for side in sides] == [0, 0], outputs
    assert outputs[0] == outputs[1]
    lines = (tmp_path / "trained.log").read_text().splitlines()
    assert len(lines) == len(set(lines)) == 12


# sessions


@pytest.mark.parametrize("workers", ["alone", pytest.param("shared", marks=pytest.mark.slow)])
def test_session_trains_each_block_once(workers: str, request: pytest.FixtureRequest):
    """An idle worker may train a block that turns out to be unneeded, since its claim is decided before."""
    session: Recorded = request.getfixturevalue(workers)
    needed = {(level, first) for level in (1, 2, 3) for first in (0, 6)}
    later = {(1, 12), (2, 12)} if workers == "shared" else set()
    trained = [(int(line[0]), int(line.split()[1].strip("[,"))) for line in session.trained]
    assert needed <= set(trained) <= needed | later
    assert len(trained) == len(set(trained))


@pytest.mark.parametrize(("seeds", "trained"), [("1", 1), ("6", 1), ("7", 2)])
def test_session_trains_whole_blocks_for_number_of_seeds(project: Project, seeds: str, trained: int):
    project.run("test_order.py::arm[low-quick]", "--claims-seeds", seeds)
    assert project.trained() == ["1 [0, 1, 2, 3, 4, 5]", "1 [6, 7, 8, 9, 10, 11]"][:trained]


@pytest.mark.slow
def test_session_trains_only_selected_arms(project: Project):
    before = len(project.recorded().trained())
    project.run("test_top.py::arm[top-quick]")
    assert {line[0] for line in project.trained()[before:]} == {"3"}


def test_session_trains_all_arms_until_claim_is_decided(project: Project):
    """Without a baseline, the number of seeds depends on all relations of the claim."""
    project.run("test_order.py::arm[high-quick]")
    assert sorted(project.trained()) == [
        f"{level} {list(range(start, start + 6))}" for level in (1, 2) for start in (0, 6)
    ]


def test_session_removes_its_folder(project: Project, monkeypatch: pytest.MonkeyPatch):
    temporary = project.folder / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    project.change("metrics['error'] *= len(os.listdir('tmp'))")
    project.recorded("test_order.py")
    assert list(temporary.glob("labcheck-*")) == []
    assert (
        0 not in baselines.read(project.file("order")).arms["low"]["metrics"]["error"]
    )  # the folder existed during training


@pytest.mark.slow
def test_session_expects_longest_blocks_first(project: Project, monkeypatch: pytest.MonkeyPatch):
    project.recorded("test_order.py").edit("order", lambda stored: stored.cpu_seconds.update(low=1.0, high=2.0))
    ahead: list[float] = []
    monkeypatch.setattr(TrialStore, "expect", lambda store, blocks: ahead.extend(block.lab.level for block in blocks))
    project.run()
    assert ahead == [3.0] * 2 + [2.0] * 2 + [1.0] * 2  # the arm top has no baseline


TOGETHER = """
import time
from pathlib import Path
(Path('pids') / str(os.getpid())).touch()
while time.time() < UNTIL and len(os.listdir('pids')) < 2: time.sleep(.01)
"""


@pytest.mark.slow
def test_worker_without_tests_trains_for_others(project: Project):
    """Each block is trained until a second process trains one, too."""
    (project.folder / "pids").mkdir()
    project.change(TOGETHER.replace("UNTIL", str(time.time() + 60)))
    options = ["--claims-update", "first", "--claims-seeds", "16"]
    result = project.run_in_subprocess("-n", "2", "test_order.py::arm[low-quick]", *options)
    assert count_lines(result, "created: 2/2 workers") == 1
    assert sorted(project.trained()) == [f"1 {list(range(start, start + 6))}" for start in (0, 12, 6)]
    assert len(list((project.folder / "pids").iterdir())) == 2


@pytest.mark.slow
def test_run_with_x_does_not_train_ahead_after_failure(project: Project):
    """The first worker has the tests of high and top; the other worker must not train top after its own test."""
    before = len(project.recorded().trained())
    project.edit("top", lambda stored: stored.cpu_seconds.update(top=999.0))  # so that its tests come last
    project.change("import time; time.sleep(.3)\nif lab.level == 2: raise ValueError('no luck')")
    tests = ["test_order.py::arm[high-quick]", "test_order.py::arm[low-quick]", "test_top.py::arm[top-quick]"]
    project.run_in_subprocess("-n", "2", "-x", *tests)
    assert {line[0] for line in project.trained()[before:]} == {"1", "2"}


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["0", "2"])
def test_lab_that_raises_fails_only_its_tests(project: Project, workers: str):
    project.change("if lab.level == 2: raise ValueError('no luck')")
    run = project.run_in_subprocess if workers == "2" else project.run
    result = run("-n", workers, "--claims-update", "it crashes")
    result.assert_outcomes(passed=5, failed=2)
    assert count_lines(result, "ValueError: no luck") >= 2
    assert count_lines(result, "INTERNALERROR") == 0
    assert not project.file("order").exists()
    assert project.file("top").exists()
