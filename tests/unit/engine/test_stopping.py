"""Stopping: how many seeds of a claim are trained, and where that ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from labcheck import CPU_SECONDS, Arm, Claim, Relation, Trials, Verdict, beats, consistent_with
from labcheck.core.trials import MetricError
from labcheck.engine import baselines
from labcheck.engine.baselines import Baseline
from labcheck.engine.checks import Check, build_checks
from labcheck.engine.planning import plan
from labcheck.engine.session import NotMeasuredError, Session
from labcheck.engine.stopping import is_decided, looks
from labcheck.engine.store import TrialStore
from tests.helpers.claims import ERROR, TEST_ERROR, Counted, metric_trials
from tests.helpers.project import LAB, ORDER, Project, Recorded

ALTERNATING = tuple(range(0, 100, 2))
"""Half of all seeds: a relation that fails in them is undecided up to 20 seeds, since 2^20 / 3^10 is below 20."""


@dataclass(frozen=True, kw_only=True)
class Patterned(Counted):
    """A lab whose trainings can be large or fail in chosen seeds.

    Attributes:
        side: The number of seeds that are trained side by side.
        lost: The seeds with a large error.
        broken: The seeds that raise.
    """

    name: ClassVar[str] = "patterned"

    side: int = 4
    lost: tuple[int, ...] = ()
    broken: tuple[int, ...] = ()

    def stack(self, device: str) -> int:
        return self.side

    def train(self, seeds: Sequence[int], device: str = "cpu") -> Trials:
        trials = super().train(seeds, device)
        if {*seeds} & {*self.broken}:
            raise ValueError("no luck")
        trials.metrics["error"][np.isin(seeds, self.lost)] *= 1000
        return trials


LOW_WINS = beats("low", "high", TEST_ERROR)


def patterned(most: int = 22, *relations: Relation, low: Any = None, high: Any = None) -> Claim:
    """Return a claim about two arms; by default, low has the smaller error in every seed."""
    return Claim(
        id="patterned/one", statement="", citation="", lab=Patterned, relations=relations or [LOW_WINS],
        arms={"low": Arm(low or {}), "high": Arm({"level": 2.0, **(high or {})})}, seeds={"quick": most},
    )  # fmt: skip


def resolve(folder: Path, claim: Claim, **options: Any) -> list[Check]:
    """Return the checks of a claim in a new session, whose baselines are in the folder."""
    (folder / "store").mkdir(exist_ok=True)
    session = Session(TrialStore(folder / "store"), folder / "baselines", **options)
    return [spec.resolve(session) for spec in build_checks(claim)]


def seeds(folder: Path, claim: Claim, **options: Any) -> range:
    """Return the seeds of each arm of a claim in a new session."""
    return resolve(folder, claim, **options)[0].experiment.seeds


def store(folder: Path, claim: Claim, number: int) -> None:
    """Write a baseline that contains nothing but a number of seeds."""
    stored = Baseline(claim.id, "quick", {"name": "none", "digest": "0"}, number, {})
    baselines.write(stored, baselines.path(folder / "baselines", claim.id, "quick", "none"))


def trained(check: Check) -> dict[str, int]:
    """Return the number of seeds that were trained, by arm, in blocks of which none was trained twice."""
    numbers = {}
    for arm, lab in check.experiment.labs.items():
        assert isinstance(lab, Patterned)
        calls = [seed for _, block in lab.calls for seed in block]
        assert calls == list(range(len(calls)))
        numbers[arm] = len(calls)
    return numbers


# looks


@pytest.mark.parametrize(
    ("stacks", "most", "expected"),
    [
        ([1], 12, [8, 9, 10, 11, 12]),
        ([1], 8, [8]),
        ([1], 3, [3]),
        ([4], 20, [8, 12, 16, 20]),
        ([4], 9, [8, 9]),
        ([6], 16, [12, 16]),
        ([6], 18, [12, 18]),
        ([6], 12, [12]),
        ([6], 10, [10]),
        ([20], 60, [20, 40, 60]),
        ([20], 50, [20, 40, 50]),
        ([20], 5, [5]),
        ([1, 6], 20, [12, 18, 20]),
        ([20, 1, 6], 45, [20, 40, 45]),
        ([3, 2], 12, [9, 12]),
    ],
)
def test_looks_follow_blocks_from_first_that_may_decide(stacks: list[int], most: int, expected: list[int]):
    assert looks([Patterned(side=side) for side in stacks], most, "cpu") == expected


# decisions


B_LOSES, B_WINS = beats("a", "b", ERROR), beats("b", "a", ERROR)
TIMED = beats("a", "b", CPU_SECONDS)
BEST, WORST = [1.0] * 40, [3.0] * 40


@pytest.mark.parametrize(
    ("relations", "a", "n", "decided"),
    [
        ([B_LOSES], BEST, 8, True),
        ([B_LOSES], BEST, 7, False),  # 1.5^7 < 20
        ([B_LOSES], [3.0, *BEST], 11, True),
        ([B_LOSES], [3.0, *BEST], 10, False),  # 1.5^9 / 2 < 20
        ([B_LOSES], WORST, 5, True),
        ([B_LOSES], WORST, 4, False),  # 2^4 < 20
        ([B_LOSES], [1.0, 3.0] * 10, 20, False),
        ([B_LOSES], [2.0] * 40, 40, False),
        ([B_LOSES, B_WINS], BEST, 6, True),  # the first is INCONCLUSIVE, the second NOT_REPRODUCED
        ([B_LOSES, B_WINS], BEST, 5, False),  # 2^5 < 2 · 20
        ([B_LOSES, beats("a", "c", ERROR)], BEST, 8, False),  # the second is a tie
        ([B_LOSES, beats("c", "b", ERROR)], BEST, 8, True),
        ([B_LOSES, TIMED], BEST, 8, True),
        ([B_LOSES, TIMED], BEST, 7, False),
        ([B_LOSES, TIMED], WORST, 5, False),  # the relation about CPU time counts as one of two
        ([B_LOSES, TIMED], WORST, 6, True),
        ([TIMED], BEST, 1, True),
    ],
)
def test_claim_is_decided_by_relations_but_not_by_time(
    relations: list[Relation], a: list[float], n: int, decided: bool
):
    arms = {name: Arm() for name in "abc"}
    claim = Claim(id="x/x", statement="", citation="", lab=Counted, arms=arms, relations=relations, seeds={"quick": n})
    values = {"a": a, "b": [2.0] * 40, "c": BEST}
    trials = {name: metric_trials(errors[:n]) for name, errors in values.items()}  # without cpu_seconds
    assert is_decided(claim, trials) is decided


def test_decision_needs_metrics_of_relations():
    trials = {"low": metric_trials([1.0]), "high": metric_trials([2.0])}
    with pytest.raises(MetricError, match="no metric 'error'"):
        is_decided(patterned(), trials)


# seeds of a session


@pytest.mark.parametrize(
    ("lost", "expected"),
    [
        ((), 8),
        ((5,), 12),  # 3^7 / 2^8 < 20 < 3^11 / 2^12
        ((0, 1, 9), 16),
        (tuple(range(8)), 8),
        (tuple(range(3, 20)), 12),  # 2^8 / 3^3 < 20 < 2^12 / 3^3
    ],
)
def test_seeds_end_at_first_look_that_decides(tmp_path: Path, lost: tuple[int, ...], expected: int):
    checks = resolve(tmp_path, patterned(20, low={"lost": lost}))
    assert checks[0].experiment.seeds == range(expected)
    assert trained(checks[0]) == {"low": expected, "high": expected}
    for check in checks:
        assert {len(trials) for trials in check.run().trials.values()} == {expected}
    assert trained(checks[0]) == {"low": expected, "high": expected}


def test_undecided_claim_has_its_most_seeds(tmp_path: Path):
    checks = resolve(tmp_path, patterned(18, low={"lost": ALTERNATING}))
    assert checks[0].experiment.seeds == range(18)
    assert trained(checks[0]) == {"low": 20, "high": 20}
    judged = checks[-1].run().result.judged[LOW_WINS.name]
    assert (judged["verdict"], judged["holds"], judged["n"]) == (Verdict.INCONCLUSIVE, 9, 18)


def test_claim_with_printed_number_has_one_look(tmp_path: Path):
    claim = patterned(22, LOW_WINS, consistent_with("low", 3.0, TEST_ERROR))
    check = resolve(tmp_path, claim)[0]
    assert check.experiment.looks == [22]
    assert check.experiment.seeds == range(22)
    check.run()
    assert trained(check) == {"low": 24, "high": 0}  # only the arm of the test


def test_time_is_measured_for_most_seeds_of_decided_claim(tmp_path: Path):
    claim = patterned(22, LOW_WINS, beats("low", "high", CPU_SECONDS))
    experiment = resolve(tmp_path, claim)[0].experiment
    assert (experiment.seeds, experiment.rounds) == (range(8), range(22))
    requested = resolve(tmp_path, claim, seeds=range(6, 12))[0].experiment
    assert (requested.seeds, requested.rounds) == (range(6, 12), range(6, 12))


@pytest.mark.parametrize(("stored", "most", "expected"), [(12, 22, 12), (5, 22, 5), (22, 10, 10)])
def test_stored_number_of_seeds_is_trained(tmp_path: Path, stored: int, most: int, expected: int):
    claim = patterned(most)
    store(tmp_path, claim, stored)
    check = resolve(tmp_path, claim)[0]
    assert check.experiment.seeds == range(expected)
    assert len(check.run().trials["low"]) == expected
    assert trained(check)["high"] == 0  # no other arm is needed


@pytest.mark.parametrize("options", [{"update": True}, {"overrides": {"patterned": {"level": 0.5}}}])
def test_stored_number_has_no_effect_if_not_compared(tmp_path: Path, options: dict[str, Any]):
    claim = patterned()
    store(tmp_path, claim, 20)
    assert seeds(tmp_path, claim, **options) == range(8)


@pytest.mark.parametrize(
    ("requested", "update"),
    [(range(3), False), (range(3), True), (range(16), True), (range(6, 12), False), (range(7, 8), False)],
)
def test_requested_seeds_are_trained_decided_or_not(tmp_path: Path, requested: range, update: bool):
    claim = patterned(10)
    store(tmp_path, claim, 9)
    checks = resolve(tmp_path, claim, seeds=requested, update=update)
    assert checks[0].experiment.seeds == requested
    values = checks[0].run().trials["low"].metrics["error"]
    assert values.tolist() == [1.0 + seed for seed in requested]


@pytest.mark.parametrize(("broken", "lost", "expected"), [(5, (), 8), (11, (0,), 12)])
def test_seeds_end_at_look_in_which_arm_raises(tmp_path: Path, broken: int, lost: tuple[int, ...], expected: int):
    checks = resolve(tmp_path, patterned(low={"lost": lost}, high={"broken": (broken,)}))
    low, high, relation = checks
    assert low.experiment.seeds == range(expected)
    assert len(low.run().trials["low"]) == expected
    first = broken // 4 * 4
    message = rf"arm 'high' \(.*\), seeds {first}-{first + 3}: ValueError: no luck"
    for check in (high, relation):
        with pytest.raises(NotMeasuredError, match=message):
            check.run()
    assert trained(low) == {"low": expected, "high": expected}


def test_missing_metric_ends_training_of_all_arms(tmp_path: Path):
    checks = resolve(tmp_path, patterned(22, LOW_WINS, beats("low", "high", ERROR)))
    assert checks[0].experiment.seeds == range(8)
    with pytest.raises(NotMeasuredError, match="no metric 'x'"):
        checks[-1].run()
    assert trained(checks[0]) == {"low": 8, "high": 8}


# training ahead


def test_blocks_of_early_looks_are_trained_ahead_first(tmp_path: Path):
    planned = plan(resolve(tmp_path, patterned(18)))
    ahead = list(planned.ahead())
    assert [planned.order[block] for block in ahead] == [0] * 4 + [1] * 2 + [2] * 2 + [3] * 2
    assert [block.index for block in ahead] == [0, 1, 0, 1, 2, 2, 3, 3, 4, 4]
    assert [planned.blocks[block].optional for block in ahead] == [False] * 4 + [True] * 6


def test_blocks_of_decided_claim_are_not_trained_ahead(tmp_path: Path):
    checks = resolve(tmp_path, patterned())
    experiment = checks[0].experiment
    other = TrialStore(tmp_path / "store")
    other.expect(plan(checks).ahead())
    assert experiment.seeds == range(8)
    other.train_ahead()
    assert trained(checks[0]) == {"low": 8, "high": 8}


# results


def measured(project: Project) -> tuple[Any, ...]:
    """Return all that the baseline of toy/order stores about its results."""
    stored = baselines.read(project.file("order"))
    return stored.seeds, stored.arms, stored.relations


@pytest.mark.slow
def test_results_equal_those_of_requested_number(project: Project, alone: Recorded, shared: Recorded):
    project.recorded("test_order.py", "--claims-seeds", "12")
    expected = measured(project)
    assert expected[0] == 12
    for run in (alone, shared):
        [text] = [text for name, text in run.baselines.items() if "order" in name]
        project.file("order").write_text(text)
        assert measured(project) == expected


@pytest.mark.slow
def test_late_results_do_not_depend_on_workers(project: Project):
    """Seeds are added one by one: with 2 failing seeds, 1.5^(n − 2) / 4 reaches 20 at n = 13."""
    (project.folder / "toy.py").write_text(LAB.replace("        return 6\n", "        return 1\n"))
    project.write("test_order.py", ORDER.replace('{"quick": 16}', '{"quick": 40}'))
    project.change("metrics['error'] *= 0.1 if lab.level == 2 and seeds[0] in (1, 4) else 1")
    results = []
    for options in (["-n", "0"], ["-n", "2"], ["-n", "0", "--claims-seeds", "13"]):
        project.recorded("test_order.py", *options)
        results.append(measured(project))
    assert results[0] == results[1] == results[2]
    assert results[0][0] == 13
    assert results[0][2]["low beats high on error"]["holds"] == 11
