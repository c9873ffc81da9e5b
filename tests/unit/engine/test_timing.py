"""Time: arms in turn, by the clock of the processor; of it only verdicts are kept."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, Self

import numpy as np
import pytest

from labcheck.core.claims import Arm, Claim
from labcheck.core.comparisons import beats
from labcheck.core.lab import Data, Lab
from labcheck.core.metrics import CPU_SECONDS, Metric
from labcheck.core.trials import Trials
from labcheck.engine import baselines, environment, timing
from labcheck.engine.checks import ArmCheck, Check, RelationCheck, checks
from labcheck.engine.planning import Plan, plan
from labcheck.engine.session import Session
from labcheck.engine.store import TrialStore

ERROR = Metric("error", higher_is_better=False)


@dataclass
class Workshop:
    """What was trained, in order, and the clock of the processor, which trainings alone move."""

    clock: float = 100.0
    trained: list[tuple[float, int, bool, str]] = field(default_factory=list)
    slow: Callable[[int], float] = lambda seed: 1.0


WORKSHOP = Workshop()


@dataclass(frozen=True, kw_only=True)
class Paced(Lab):
    """Takes as many seconds as it is told."""

    name: ClassVar[str] = "paced"

    pace: float = 1.0
    epochs: int = 10
    short: bool = False

    @property
    def stack(self) -> int:
        return 4

    @classmethod
    def data(cls) -> Data:
        return Data("none", "0")

    def brief(self) -> Self:
        return replace(self, epochs=2, short=True)

    def train(self, seeds: Sequence[int], device: str = "cpu") -> Trials:
        for seed in seeds:
            WORKSHOP.trained.append((self.pace, seed, self.short, device))
            WORKSHOP.clock += self.pace * self.epochs * WORKSHOP.slow(seed)
        return Trials({"error": np.full(len(seeds), self.pace), "epochs": np.full(len(seeds), float(self.epochs))}, {})


@pytest.fixture(autouse=True)
def workshop(monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """A new one, on a machine that needs no preparation; a clock on the wall hangs nowhere."""
    for name, value in asdict(Workshop()).items():
        setattr(WORKSHOP, name, value)
    clocks = SimpleNamespace(process_time=lambda: WORKSHOP.clock)
    monkeypatch.setattr(timing, "time", clocks)
    monkeypatch.setattr(environment, "pinned", lambda *args: nullcontext())
    return WORKSHOP


def seconds(repetitions: int, **paces: float) -> dict[str, list[float]]:
    labs = {name: Paced(pace=pace) for name, pace in paces.items()}
    timed = timing.measure_in_turn(labs, repetitions, "cpu")
    return {name: trials.metrics["cpu_seconds"].tolist() for name, trials in timed.items()}


# in turn


def test_all_arms_train_once_before_any_trains_again(workshop: Workshop) -> None:
    seconds(3, a=1, b=5, c=2)
    assert [pace for pace, *_ in workshop.trained] == [1, 5, 2] * 4


def test_the_first_time_is_not_counted(workshop: Workshop) -> None:
    workshop.slow = lambda seed: 50.0 if len(workshop.trained) <= 2 else 1.0
    assert seconds(2, a=1, b=5) == {"a": [2, 2], "b": [10, 10]}
    assert [seed for pace, seed, *_ in workshop.trained if pace == 1] == [0, 0, 1]


def test_each_repetition_is_a_brief_training_of_one_seed_on_the_device(workshop: Workshop) -> None:
    timing.measure_in_turn({"a": Paced()}, 2, "cuda:1")
    assert workshop.trained == [(1, seed, True, "cuda:1") for seed in (0, 0, 1)]


def test_time_is_of_the_training_and_of_nothing_else(workshop: Workshop) -> None:
    workshop.slow = lambda seed: 1.0 + seed
    assert seconds(3, a=1, b=5) == {"a": [2, 4, 6], "b": [10, 20, 30]}


def test_what_else_the_machine_does_between_trainings_does_not_count(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    brief = Paced.brief

    def slowly(lab: Paced) -> Paced:
        workshop.clock += 1000
        return brief(lab)

    monkeypatch.setattr(Paced, "brief", slowly)
    assert seconds(2, a=1) == {"a": [2, 2]}


def test_repetitions_stand_in_the_place_of_seeds() -> None:
    trials = timing.measure_in_turn({"a": Paced()}, 3, "cpu")["a"]
    assert len(trials) == 3
    assert {name: values.tolist() for name, values in trials.metrics.items()} == {
        "cpu_seconds": [2, 2, 2], "epochs": [2, 2, 2],
    }  # fmt: skip
    assert CPU_SECONDS.of(trials).tolist() == [2, 2, 2]
    assert (trials.curves, trials.tables) == ({}, {})


# checks

FASTER = beats("quick", "slow", CPU_SECONDS, by=0.1)
BETTER = beats("quick", "slow", ERROR)


def claim(quick: float = 1.0, slow: float = 2.0, quoted: Any = None) -> Claim:
    return Claim(
        id="paced/time", statement="", source="", lab=Paced, relations=[FASTER, BETTER], seeds={"quick": 6},
        arms={"quick": Arm({"pace": quick}, quoted or {}), "slow": Arm({"pace": slow})},
    )  # fmt: skip


def session(folder: Path, **settings: Any) -> Session:
    (folder / "store").mkdir(exist_ok=True)
    return Session(TrialStore(folder / "store"), folder / "baselines", **settings)


def timed(found: Claim) -> RelationCheck:
    [check] = [check for check in checks(found) if isinstance(check, RelationCheck) and check.relation.timed]
    return check


def record(folder: Path, found: Claim) -> baselines.Baseline:
    """Write what all checks of the claim measure."""
    here = session(folder, update=True)
    first, *others = [check.run(here).finding for check in checks(found)]
    for other in others:
        first.add(other)
    baselines.write(first.today, baselines.path(here.baselines, found.id, "quick", "none"))
    return first.today


def test_relations_about_cpu_seconds_are_timed_and_others_are_not() -> None:
    assert FASTER.timed
    assert beats("a", "b", ERROR, other=CPU_SECONDS).timed
    assert not BETTER.timed


def test_nothing_is_planned_for_a_timed_relation(tmp_path: Path) -> None:
    assert plan([timed(claim())], session(tmp_path)) == Plan()
    everything = plan(checks(claim()), session(tmp_path)).blocks
    assert len(everything) == 2 * 2
    assert {block.lab.short for block in everything} == {False}


def test_nothing_is_stored_of_a_timed_relation_and_nothing_that_is_stored_is_used(
    tmp_path: Path, workshop: Workshop
) -> None:
    here = session(tmp_path, update=True)
    for _ in range(2):
        workshop.trained.clear()
        timed(claim()).run(here)
        assert [(pace, seed) for pace, seed, *_ in workshop.trained] == [
            (pace, seed) for seed in (0, *range(6)) for pace in (1, 2)
        ]
    assert list((tmp_path / "store").iterdir()) == []


def test_as_many_repetitions_as_seeds_are_asked_for(tmp_path: Path, workshop: Workshop) -> None:
    finding = timed(claim()).run(session(tmp_path, update=True, seeds=9)).finding
    assert finding.today.relations[FASTER.name]["n"] == 9
    assert len(workshop.trained) == 2 * (1 + 9)


def test_a_timed_relation_stores_its_verdict_and_no_seconds(tmp_path: Path) -> None:
    finding = timed(claim()).run(session(tmp_path, update=True)).finding
    assert finding.today.relations == {
        FASTER.name: {"verdict": "REPRODUCED", "tag": "", "holds": 6, "ties": 0, "n": 6}
    }  # fmt: skip
    assert finding.today.arms == {}
    assert finding.today.cpu_seconds == {}
    judged = finding.judged[FASTER.name]
    assert (judged["effect"]["kind"], judged["effect"]["median"]) == ("ratio", 0.5)
    assert [term["median"] for term in judged["terms"]] == [2, 4]


def test_an_arm_stores_no_seconds_among_its_metrics(tmp_path: Path) -> None:
    found = claim()
    stored = record(tmp_path, found)
    assert {name: list(arm["metrics"]) for name, arm in stored.arms.items()} == {"quick": ["error"], "slow": ["error"]}
    assert stored.cpu_seconds.keys() == {"quick", "slow"}
    assert found.metrics("quick") == [ERROR]


def test_seconds_that_a_report_prints_are_no_error_of_the_arm(tmp_path: Path) -> None:
    found = claim(quoted={"Table 1": {CPU_SECONDS: 2.5, ERROR: 1.0}})
    arm = next(check for check in checks(found) if isinstance(check, ArmCheck) and check.arm == "quick")
    answer = arm.run(session(tmp_path, update=True))
    assert answer.drifts == answer.failures == []
    assert {"metric": "error", "value": 1.0, "where": "Table 1", "percentile": 50.0} in answer.finding.quoted["quick"]
    judged = timed(found).run(session(tmp_path, update=True)).finding.judged[FASTER.name]
    assert judged["terms"][0]["quoted"] == [2.5]


@pytest.mark.parametrize(
    ("paces", "verdict", "fails"),
    [
        ((1.0, 2.0), "REPRODUCED", False),
        ((100.0, 300.0), "REPRODUCED", False),
        ((2.0, 1.0), "NOT_REPRODUCED", True),
        ((1.0, 1.05), "NOT_REPRODUCED", True),
    ],
)
def test_only_the_verdict_is_compared(
    tmp_path: Path, paces: tuple[float, float], verdict: str, fails: bool, workshop: Workshop
) -> None:
    record(tmp_path, claim())
    answer = timed(claim(*paces)).run(session(tmp_path))
    assert answer.finding.today.relations[FASTER.name]["verdict"] == verdict
    assert answer.notes == answer.failures == []
    if fails:
        assert len(answer.drifts) == 1
        assert answer.drifts[0].startswith(f"{FASTER.name}: {verdict}, stored REPRODUCED")
    else:
        assert answer.drifts == []


def test_a_verdict_that_time_leaves_open_is_only_said(tmp_path: Path, workshop: Workshop) -> None:
    record(tmp_path, claim())
    calls = iter([1.0, 1.0, *[1.0, 1.0] * 4, *[5.0, 1.0] * 2])
    workshop.slow = lambda seed: next(calls)
    answer = timed(claim()).run(session(tmp_path))
    assert answer.finding.today.relations[FASTER.name]["holds"] == 4
    assert answer.drifts == answer.failures == []
    assert answer.notes == [f"{FASTER.name}: INCONCLUSIVE, stored REPRODUCED"]


def test_arms_of_a_claim_about_time_are_compared_as_all_are(tmp_path: Path) -> None:
    record(tmp_path, claim())
    drifted: list[Check] = [check for check in checks(claim(slow=3.0)) if check.name.startswith("arm")]
    results = [check.run(session(tmp_path)).drifts for check in drifted]
    assert results[0] == []
    assert len(results[1]) > 0
