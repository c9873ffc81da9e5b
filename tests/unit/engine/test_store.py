"""Trials of a session: each block is trained once, whole, whoever asks for it; no failure loses a result or hangs."""

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from filelock import FileLock

from labcheck.core.lab import Data, Lab
from labcheck.core.trials import Trials
from labcheck.engine import baselines, progress
from labcheck.engine.store import Block, TrainingError, TrialStore, blocks
from tests.helpers.project import LAB, WITHOUT_TORCH, Project, Recorded, count_lines

CHILD = f"""
{WITHOUT_TORCH}
import pathlib, time
from labcheck.engine.store import TrialStore
from toy import Toy

here = pathlib.Path(sys.argv[1])
(here / "ready").touch()
while not (here / "go").exists():
    time.sleep(0.001)
store = TrialStore(here / "store")
print(sum(store.trials(Toy(level=level), 24, "cpu").metrics["error"].sum() for level in (1.0, 2.0, 3.0)))
"""


@dataclass(frozen=True, kw_only=True)
class Counted(Lab):
    """Remembers what it was asked to train."""

    name: ClassVar[str] = "counted"

    level: float = 1.0
    asked: list[tuple[float, Sequence[int]]] = field(default_factory=list, compare=False, repr=False)

    @property
    def stack(self) -> int:
        return 4

    @classmethod
    def data(cls) -> Data:
        return Data("none", "0")

    def train(self, seeds: Sequence[int], device: str = "cpu") -> Trials:
        self.asked.append((self.level, list(seeds)))
        values = self.level * (1.0 + np.array(seeds))
        curve = np.outer(values, [1.0, np.nan])
        return Trials({"error": values, "epochs": np.ones(len(seeds))}, {"loss": curve})


@dataclass(frozen=True, kw_only=True)
class Vandal(Counted):
    """Removes the folder that its trials would be shared in."""

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
    return {block: {"a test"} for lab in labs for block in blocks(lab, seeds, "cpu")}


def errors(store: TrialStore, lab: Lab, seeds: int) -> list[float]:
    return store.trials(lab, seeds, "cpu").metrics["error"].tolist()


@pytest.fixture
def store(tmp_path: Path) -> TrialStore:
    return TrialStore(tmp_path)


@pytest.mark.parametrize(("seeds", "starts"), [(1, [0]), (4, [0]), (5, [0, 4]), (12, [0, 4, 8])])
def test_blocks_are_whole_and_as_few_as_hold_the_seeds(store: TrialStore, seeds: int, starts: list[int]):
    lab = Counted()
    assert errors(store, lab, seeds) == [1.0 + seed for seed in range(seeds)]
    assert lab.asked == [(1.0, [start, start + 1, start + 2, start + 3]) for start in starts]
    assert blocks(lab, seeds, "cpu") == [Block(lab, start // 4, "cpu") for start in starts]


def test_a_block_is_trained_once(store: TrialStore):
    lab = Counted()
    assert errors(store, lab, 6)[:3] == errors(store, lab, 3)
    assert len(lab.asked) == 2


def test_another_store_of_the_folder_reads_what_is_there(store: TrialStore):
    lab = Counted()
    trained = store.trials(lab, 6, "cpu")
    read = TrialStore(store.folder).trials(lab, 6, "cpu")
    assert len(lab.asked) == 2
    for part in ("metrics", "curves"):
        np.testing.assert_equal(getattr(read, part), getattr(trained, part))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """CPU time that passes only where it is told to."""
    clock = SimpleNamespace(now=5.0)
    monkeypatch.setattr("labcheck.engine.store.time", SimpleNamespace(process_time=lambda: clock.now))
    return clock


@dataclass(frozen=True, kw_only=True)
class Slow(Counted):
    """Takes as many seconds as the number of its last seed."""

    clock: SimpleNamespace = field(compare=False, repr=False)

    def train(self, seeds: Sequence[int], device: str = "cpu") -> Trials:
        self.clock.now += seeds[-1]
        return super().train(seeds, device)


def test_the_time_of_an_arm_is_that_of_its_blocks(store: TrialStore, clock: SimpleNamespace):
    lab = Slow(clock=clock)
    store.trials(lab, 12, "cpu")
    clock.now += 1000
    assert [store.seconds(lab, seeds, "cpu") for seeds in (1, 4, 5, 12)] == [3, 3, 10, 21]
    assert len(lab.asked) == 3


def test_a_block_that_another_process_trained_took_the_time_that_it_took_there(
    store: TrialStore, clock: SimpleNamespace
):
    lab = Slow(clock=clock)
    store.trials(lab, 8, "cpu")
    assert TrialStore(store.folder).seconds(lab, 8, "cpu") == 10
    assert len(lab.asked) == 2


def test_a_block_takes_no_time_of_the_one_before(store: TrialStore, clock: SimpleNamespace):
    one, two = Slow(clock=clock), Slow(clock=clock, level=2.0)
    store.expect(needed_by_one_test(one, two, seeds=4))
    assert store.seconds(two, 4, "cpu") == store.seconds(one, 4, "cpu") == 3


def test_the_time_of_a_result_that_cannot_be_shared_is_kept(tmp_path: Path):
    store = TrialStore(tmp_path / "store")
    store.folder.mkdir()
    lab = Vandal(folder=store.folder)
    seconds = store.seconds(lab, 4, "cpu")
    assert seconds == store.seconds(lab, 4, "cpu") >= 0
    assert len(lab.asked) == 1


def test_what_a_loop_tells_is_noted_while_its_block_trains(store: TrialStore):
    seen = []

    class Telling(Counted):
        def train(self, seeds: Sequence[int], device: str = "cpu") -> Trials:
            progress.report_progress(3, 10)
            seen.append(store.progress.state(plan))
            return super().train(seeds, device)

    lab = Telling()
    block = Block(lab, 1, "cpu")
    plan = [progress.PlannedBlock(store.key(block), "counted/claim a seeds 4-7", 1.0)]
    store.trials(lab, 8, "cpu")
    assert [state.running for state in seen] == [[], [("counted/claim a seeds 4-7", 3, 10)]]
    assert store.progress.state(plan) == progress.State(1.0, [])


@pytest.mark.parametrize(
    "other", [Block(Counted(level=2.0), 0, "cpu"), Block(Counted(), 1, "cpu"), Block(Counted(), 0, "cuda"),
              Block(Broken(), 0, "cpu")]
)  # fmt: skip
def test_other_settings_seeds_devices_and_labs_share_nothing(other: Block, store: TrialStore):
    assert store.key(other) != store.key(Block(Counted(), 0, "cpu"))
    assert store.key(other) == store.key(replace(other))


def test_a_result_that_cannot_be_shared_is_kept_and_told(tmp_path: Path):
    store = TrialStore(tmp_path / "store")
    store.folder.mkdir()
    lab = Vandal(folder=store.folder)
    assert errors(store, lab, 2) == [1.0, 2.0]
    assert "trials could not be shared" in store.problem
    assert errors(store, lab, 4) == [1.0, 2.0, 3.0, 4.0]
    assert len(lab.asked) == 1


def test_where_no_lock_can_be_made_results_stay_in_the_process(tmp_path: Path):
    (tmp_path / "file").touch()
    store = TrialStore(tmp_path, tmp_path / "file" / "store")
    lab = Counted()
    for _ in range(2):
        assert errors(store, lab, 2) == [1.0, 2.0]
    assert "trials could not be shared" in store.problem
    assert len(lab.asked) == 1


def test_a_block_that_raises_is_trained_once_and_leaves_no_lock(store: TrialStore):
    lab = Broken()
    for again in (store, store, TrialStore(store.folder)):
        with pytest.raises(TrainingError, match=r"^seeds 0-3: ValueError: no luck$") as caught:
            again.trials(lab, 1, "cpu")
        assert 'raise ValueError("no luck")' in caught.value.traceback
        assert "labcheck/" not in caught.value.traceback
    assert len(lab.asked) == 1
    assert list(store.folder.glob("*.npz")) == []


def test_a_block_that_raised_is_trained_again_on_request(store: TrialStore):
    lab = Broken()
    for _ in range(2):
        store.retry(blocks(lab, 1, "cpu"))
        with pytest.raises(TrainingError):
            store.trials(lab, 1, "cpu")
    assert len(lab.asked) == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_block_counts_as_untouched(store: TrialStore, error: type[BaseException]):
    class Interrupted(Counted):
        def train(self, seeds: Sequence[int], device: str = "cpu") -> Trials:
            super().train(seeds, device)
            raise error

    lab = Interrupted()
    for _ in range(2):
        with pytest.raises(error):
            store.trials(lab, 1, "cpu")
    assert len(lab.asked) == 2
    assert list(store.folder.glob("*.failed")) == []


def test_a_block_whose_test_ran_out_of_time_is_not_trained_ahead(store: TrialStore):
    class OutOfTimeError(BaseException):
        """As pytest's own, no Exception."""

    class Endless(Counted):
        def train(self, seeds: Sequence[int], device: str = "cpu") -> Trials:
            super().train(seeds, device)
            raise OutOfTimeError

    lab = Endless()
    store.expect(needed_by_one_test(lab, seeds=4))
    with pytest.raises(OutOfTimeError):
        store.trials(lab, 4, "cpu")
    other = TrialStore(store.folder)
    other.expect(needed_by_one_test(lab, seeds=4))
    other.train_ahead()
    assert len(lab.asked) == 1
    with pytest.raises(OutOfTimeError):  # another test may have more time
        other.trials(lab, 4, "cpu")


def test_a_block_that_only_finished_tests_need_is_not_trained_ahead(store: TrialStore):
    lab = Counted()
    first, second = blocks(lab, 8, "cpu")
    store.expect({first: {"a", "b"}, second: {"a"}})
    TrialStore(store.folder).finish("a")
    store.train_ahead()
    assert [list(seeds) for _, seeds in lab.asked] == [[0, 1, 2, 3]]


def test_who_needs_a_block_that_another_trains_does_not_wait_idle(store: TrialStore):
    asked: list[tuple[float, Sequence[int]]] = []
    needed, broken, later = Counted(asked=asked), Broken(level=2.0, asked=asked), Counted(level=3.0, asked=asked)
    store.expect(needed_by_one_test(needed, broken, later, seeds=4))
    path = store.folder / f"{store.key(Block(needed, 0, 'cpu'))}.npz"
    other = TrialStore(store.folder / "other")
    other.folder.mkdir()
    other.trials(Counted(level=7.0), 4, "cpu")
    with FileLock(path.with_suffix(".lock")):
        thread = threading.Thread(target=store.trials, args=(needed, 4, "cpu"), daemon=True)
        thread.start()
        wait_for(lambda: list(store.folder.glob("*.npz")))
        assert [level for level, _ in asked] == [2.0, 3.0]
        next(other.folder.glob("*.npz")).rename(path)  # the other one is done
    thread.join(timeout=30)
    assert not thread.is_alive()
    assert errors(store, needed, 2) == [7.0, 14.0]
    assert [level for level, _ in asked] == [2.0, 3.0]


def test_what_is_trained_ahead_is_what_was_expected_and_nobody_is_at(store: TrialStore):
    lab = Counted()
    store.expect(needed_by_one_test(lab, seeds=16))
    store.trials(lab, 4, "cpu")
    with FileLock(store.folder / f"{store.key(Block(lab, 2, 'cpu'))}.lock"):
        store.train_ahead()
    assert [list(seeds) for _, seeds in lab.asked] == [[0, 1, 2, 3], [4, 5, 6, 7], [12, 13, 14, 15]]
    store.train_ahead()
    assert len(lab.asked) == 3


def test_nothing_is_trained_ahead_once_the_session_ends(store: TrialStore):
    lab = Counted()
    store.expect(needed_by_one_test(lab, seeds=16))
    store.progress.end()
    store.train_ahead()
    assert lab.asked == []


def test_what_others_trained_is_not_read_ahead(store: TrialStore):
    lab = Counted()
    TrialStore(store.folder).trials(lab, 16, "cpu")
    store.expect(needed_by_one_test(lab, seeds=20))
    store.train_ahead()
    assert list(store._loaded) == [store.key(Block(lab, 4, "cpu"))]


def test_nothing_is_trained_ahead_that_cannot_be_shared(store: TrialStore):
    lab = Vandal(folder=store.folder)
    store.expect(needed_by_one_test(lab, seeds=16))
    store.train_ahead()
    assert len(lab.asked) == 1


def wait_for(condition: Any) -> None:
    pause = threading.Event()
    for _ in range(3000):
        if condition():
            return
        pause.wait(0.01)
    raise TimeoutError


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
        told = [side.communicate(timeout=60) for side in sides]
    finally:
        for side in sides:
            side.kill()
    assert [side.returncode for side in sides] == [0, 0], told
    assert told[0] == told[1]
    lines = (tmp_path / "trained.log").read_text().splitlines()
    assert len(lines) == len(set(lines)) == 12


# in a session


@pytest.mark.parametrize("workers", ["alone", "shared"])
def test_a_session_trains_each_block_once(workers: str, request: pytest.FixtureRequest):
    session: Recorded = request.getfixturevalue(workers)
    starts = [
        (1, 0),
        (1, 6),
        (1, 12),
        (2, 0),
        (2, 6),
        (2, 12),
        (3, 0),
        (3, 6),
    ]  # ten seeds of level 3, 16 of the others
    assert sorted(session.trained) == sorted(f"{level} {list(range(start, start + 6))}" for level, start in starts)


@pytest.mark.parametrize(("seeds", "trained"), [("1", 1), ("6", 1), ("7", 2)])
def test_a_number_of_seeds_trains_whole_blocks(project: Project, seeds: str, trained: int):
    project.run("test_order.py::arm[low-quick]", "--claims-seeds", seeds)
    assert project.trained() == ["1 [0, 1, 2, 3, 4, 5]", "1 [6, 7, 8, 9, 10, 11]"][:trained]


def test_a_session_trains_only_what_is_selected(project: Project):
    project.run("test_top.py::arm[top-quick]")
    assert {line[0] for line in project.trained()} == {"3"}


def test_a_session_leaves_no_trials_behind(project: Project, monkeypatch: pytest.MonkeyPatch):
    temporary = project.folder / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    project.change("metrics['error'] *= len(os.listdir('tmp'))")
    project.recorded("test_order.py")
    assert list(temporary.glob("labcheck-*")) == []
    assert 0 not in baselines.read(project.file("order")).arms["low"]["metrics"]["error"]  # it was there


def test_what_takes_longest_is_trained_ahead_first(project: Project, monkeypatch: pytest.MonkeyPatch):
    project.recorded("test_order.py").edit("order", lambda stored: stored.cpu_seconds.update(low=1.0, high=2.0))
    ahead: list[float] = []
    monkeypatch.setattr(TrialStore, "expect", lambda store, blocks: ahead.extend(block.lab.level for block in blocks))
    project.run()
    assert ahead == [3.0] * 2 + [2.0] * 3 + [1.0] * 3  # of top nothing is known


TOGETHER = """
import time
from pathlib import Path
(Path('here') / str(os.getpid())).touch()
while time.time() < UNTIL and len(os.listdir('here')) < 2: time.sleep(.01)
"""


def test_a_worker_without_tests_trains_for_the_others(project: Project):
    """Each block waits until a second process trains one."""
    (project.folder / "here").mkdir()
    project.change(TOGETHER.replace("UNTIL", str(time.time() + 60)))
    result = project.run_in_subprocess("-n", "2", "test_order.py::arm[low-quick]", "--claims-update", "first")
    assert count_lines(result, "created: 2/2 workers") == 1
    assert sorted(project.trained()) == [f"1 {list(range(start, start + 6))}" for start in (0, 12, 6)]
    assert len(list((project.folder / "here").iterdir())) == 2


def test_the_first_failure_ends_a_run_that_shall_end_with_it(project: Project):
    """The first worker has high and top, and the other one, when its test is done, does not train for top."""
    before = len(project.recorded().trained())
    project.change("import time; time.sleep(.3)\nif lab.level == 2: raise ValueError('no luck')")
    tests = ["test_order.py::arm[high-quick]", "test_order.py::arm[low-quick]", "test_top.py::arm[top-quick]"]
    project.run_in_subprocess("-n", "2", "-x", *tests)
    assert {line[0] for line in project.trained()[before:]} == {"1", "2"}


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_lab_that_raises_fails_its_tests_only(project: Project, workers: str):
    project.change("if lab.level == 2: raise ValueError('no luck')")
    run = project.run_apart if workers == "2" else project.run
    result = run("-n", workers, "--claims-update", "it crashes")
    result.assert_outcomes(passed=5, failed=2)
    assert count_lines(result, "ValueError: no luck") >= 2
    assert count_lines(result, "INTERNALERROR") == 0
    assert not project.file("order").exists()
    assert project.file("top").exists()
