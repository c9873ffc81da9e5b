"""Relations about CPU time: arms are measured in turn, and only verdicts are stored."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, Self

import numpy as np
import pytest

from labcheck import CPU_SECONDS, Arm, Claim, Data, Lab, Trials, beats
from labcheck.engine import baselines, environment, timing
from labcheck.engine.checks import ArmCheck, Check, CheckResult, RelationCheck, build_checks
from labcheck.engine.planning import Plan, plan
from labcheck.engine.session import Session
from labcheck.engine.store import TrialStore
from tests.helpers.claims import TEST_ERROR


@dataclass
class Workshop:
    """A record of trainings in order, and a clock of CPU time, which only trainings advance."""

    clock: float = 100.0
    trained: list[tuple[float, int, bool, str]] = field(default_factory=list)
    slow: Callable[[int], float] = lambda seed: 1.0


WORKSHOP = Workshop()


@dataclass(frozen=True, kw_only=True)
class Paced(Lab):
    """A lab that takes a set number of seconds per epoch."""

    name: ClassVar[str] = "paced"

    pace: float = 1.0
    epochs: int = 10
    short: bool = False

    def stack(self, device: str) -> int:
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
    """Return a new workshop. There is no clock of wall time, and the state of torch is left as it is."""
    for name, value in asdict(Workshop()).items():
        setattr(WORKSHOP, name, value)
    clocks = SimpleNamespace(process_time=lambda: WORKSHOP.clock)
    monkeypatch.setattr(timing, "time", clocks)
    monkeypatch.setattr(environment, "deterministic", lambda *args: nullcontext())
    return WORKSHOP


def seconds(repetitions: int, **paces: float) -> dict[str, list[float]]:
    labs = {name: Paced(pace=pace) for name, pace in paces.items()}
    timed = timing.measure_in_turn(labs, range(repetitions), "cpu")
    return {name: trials.metrics["cpu_seconds"].tolist() for name, trials in timed.items()}


# measurements in turn


def test_each_arm_trains_before_any_trains_again(workshop: Workshop):
    seconds(3, a=1, b=5, c=2)
    assert [pace for pace, *_ in workshop.trained] == [1, 5, 2] * 4


def test_first_round_is_not_counted(workshop: Workshop):
    workshop.slow = lambda seed: 50.0 if len(workshop.trained) <= 2 else 1.0
    assert seconds(2, a=1, b=5) == {"a": [2, 2], "b": [10, 10]}
    assert [seed for pace, seed, *_ in workshop.trained if pace == 1] == [0, 0, 1]


def test_repetition_is_brief_training_of_one_seed_on_device(workshop: Workshop):
    timing.measure_in_turn({"a": Paced()}, range(2), "cuda:1")
    assert workshop.trained == [(1, seed, True, "cuda:1") for seed in (0, 0, 1)]


def test_seconds_are_those_of_training(workshop: Workshop):
    workshop.slow = lambda seed: 1.0 + seed
    assert seconds(3, a=1, b=5) == {"a": [2, 4, 6], "b": [10, 20, 30]}


def test_seconds_do_not_include_time_between_trainings(workshop: Workshop, monkeypatch: pytest.MonkeyPatch):
    brief = Paced.brief

    def slowly(lab: Paced) -> Paced:
        workshop.clock += 1000
        return brief(lab)

    monkeypatch.setattr(Paced, "brief", slowly)
    assert seconds(2, a=1) == {"a": [2, 2]}


def test_timed_trials_have_repetitions_in_place_of_seeds():
    trials = timing.measure_in_turn({"a": Paced()}, range(3), "cpu")["a"]
    assert len(trials) == 3
    assert {name: values.tolist() for name, values in trials.metrics.items()} == {
        "cpu_seconds": [2, 2, 2], "epochs": [2, 2, 2],
    }  # fmt: skip
    assert CPU_SECONDS.of(trials).tolist() == [2, 2, 2]
    assert (trials.curves, trials.tables) == ({}, {})


# checks

FASTER = beats("quick", "slow", CPU_SECONDS, by=0.1)
BETTER = beats("quick", "slow", TEST_ERROR)


def claim(quick: float = 1.0, slow: float = 2.0, quoted: Any = None) -> Claim:
    return Claim(
        id="paced/time", statement="", citation="", lab=Paced, relations=[FASTER, BETTER], seeds={"quick": 8},
        arms={"quick": Arm({"pace": quick}, quoted or {}), "slow": Arm({"pace": slow})},
    )  # fmt: skip


def session(folder: Path, **settings: Any) -> Session:
    (folder / "store").mkdir(exist_ok=True)
    return Session(TrialStore(folder / "store"), folder / "baselines", **settings)


def resolve(claim: Claim, session: Session) -> list[Check]:
    return [spec.resolve(session) for spec in build_checks(claim)]


def timed(claim: Claim, session: Session) -> RelationCheck:
    """Return the check of the relation about CPU time."""
    [check] = [check for check in resolve(claim, session) if isinstance(check, RelationCheck) and check.relation.timed]
    return check


def run_timed(claim: Claim, session: Session) -> CheckResult:
    return timed(claim, session).run()


def record(folder: Path, claim: Claim) -> baselines.Baseline:
    """Write a baseline with the results of all checks of a claim, and return it."""
    updating = session(folder, update=True)
    first, *others = [check.run().result for check in resolve(claim, updating)]
    for other in others:
        first.merge(other)
    baselines.write(first.current, baselines.path(updating.baselines, claim.id, "quick", "none"))
    return first.current


def test_relation_is_timed_if_it_compares_cpu_seconds():
    assert FASTER.timed
    assert beats("a", "b", TEST_ERROR, other=CPU_SECONDS).timed
    assert not BETTER.timed


def test_timed_relation_has_no_planned_blocks(tmp_path: Path):
    assert plan([timed(claim(), session(tmp_path))]) == Plan()
    blocks = plan(resolve(claim(), session(tmp_path))).blocks
    assert len(blocks) == 2 * 2
    assert {block.lab for block in blocks} == {Paced(pace=1.0), Paced(pace=2.0)}


def test_timed_relation_does_not_use_stored_trials(tmp_path: Path, workshop: Workshop):
    check = timed(claim(), session(tmp_path, update=True))
    for _ in range(2):
        workshop.trained.clear()
        check.run()
        assert [(pace, seed) for pace, seed, *_ in workshop.trained] == [
            (pace, seed) for seed in (0, *range(8)) for pace in (1, 2)
        ]
    assert list((tmp_path / "store").iterdir()) == []


def test_timed_relation_has_one_repetition_per_seed(tmp_path: Path, workshop: Workshop):
    result = run_timed(claim(), session(tmp_path, update=True, seeds=range(9))).result
    assert result.current.relations[FASTER.name]["n"] == 9
    assert len(workshop.trained) == 2 * (1 + 9)


def test_timed_relation_stores_verdict_without_seconds(tmp_path: Path):
    result = run_timed(claim(), session(tmp_path, update=True)).result
    assert result.current.relations == {
        FASTER.name: {"verdict": "REPRODUCED", "tag": "", "holds": 8, "ties": 0, "n": 8}
    }  # fmt: skip
    assert result.current.arms == {}
    assert result.current.cpu_seconds == {}
    judged = result.judged[FASTER.name]
    assert (judged["effect"]["kind"], judged["effect"]["median"]) == ("ratio", 0.5)
    assert [term["median"] for term in judged["terms"]] == [2, 4]


def test_arm_has_no_seconds_among_its_metrics(tmp_path: Path):
    timing_claim = claim()
    stored = record(tmp_path, timing_claim)
    assert {name: list(arm["metrics"]) for name, arm in stored.arms.items()} == {"quick": ["error"], "slow": ["error"]}
    assert stored.cpu_seconds.keys() == {"quick", "slow"}
    assert timing_claim.metrics("quick") == [TEST_ERROR]


def test_quoted_seconds_are_compared_by_relation_only(tmp_path: Path):
    quoting = claim(quoted={"Table 1": {CPU_SECONDS: 2.5, TEST_ERROR: 1.0}})
    checks = resolve(quoting, session(tmp_path, update=True))
    arm = next(check for check in checks if isinstance(check, ArmCheck) and check.arm == "quick").run()
    assert arm.drifts == arm.failures == []
    assert arm.result.quoted == {"quick": [{"metric": "error", "value": 1.0, "where": "Table 1", "percentile": 50.0}]}
    judged = run_timed(quoting, session(tmp_path, update=True)).result.judged[FASTER.name]
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
def test_timed_relation_compares_only_verdict(
    tmp_path: Path, paces: tuple[float, float], verdict: str, fails: bool, workshop: Workshop
):
    record(tmp_path, claim())
    outcome = run_timed(claim(*paces), session(tmp_path))
    assert outcome.result.current.relations[FASTER.name]["verdict"] == verdict
    assert outcome.notes == outcome.failures == []
    if fails:
        assert len(outcome.drifts) == 1
        assert outcome.drifts[0].startswith(f"{FASTER.name}: {verdict}, stored REPRODUCED")
    else:
        assert outcome.drifts == []


def test_timed_relation_that_becomes_inconclusive_is_noted(tmp_path: Path, workshop: Workshop):
    record(tmp_path, claim())
    calls = iter([1.0, 1.0, *[1.0, 1.0] * 6, *[5.0, 1.0] * 2])
    workshop.slow = lambda seed: next(calls)
    outcome = run_timed(claim(), session(tmp_path))
    assert outcome.result.current.relations[FASTER.name]["holds"] == 6
    assert outcome.drifts == outcome.failures == []
    assert outcome.notes == [f"{FASTER.name}: INCONCLUSIVE, stored REPRODUCED"]


def test_arms_of_claim_about_time_are_compared(tmp_path: Path):
    record(tmp_path, claim())
    checks = [check for check in resolve(claim(slow=3.0), session(tmp_path)) if isinstance(check, ArmCheck)]
    drifts = {check.arm: check.run().drifts for check in checks}
    assert drifts["quick"] == []
    assert len(drifts["slow"]) > 0
