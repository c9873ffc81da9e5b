"""What a report contains about universes: what verdicts depend on, and where printed numbers come from."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from labcheck.core import universes, verdicts
from labcheck.core.universes import Grid
from labcheck.engine.baselines import numbers
from labcheck.engine.multiverse import Multiverse
from labcheck.report.origins import origins
from labcheck.report.specification import specification_curve
from labcheck.report.universes import describe, tally

GRID = Grid({"norm": (True, False), "batch": (64, 32), "split": ("report", "seed")})
RELATION = "a beats b on error"
Settings = Mapping[str, Any]


def multiverse(
    share: Callable[[Settings], float],
    claim: str = "toy/one",
    medians: Callable[[Settings], float] = lambda values: 1.0,
    printed: float | None = None,
    own: tuple[str, ...] = (),
) -> Multiverse:
    """Return a synthetic claim: 16 seeds in each universe, of which a share holds, with an error around a median."""
    rng = np.random.default_rng(len(claim))
    quote = {"metric": "error", "value": printed, "higher_is_better": False, "ratio": True}
    result = Multiverse(
        claim, "quick", {"name": "drawn", "digest": ""}, {}, GRID.plain(), {"a": {"level": claim}}, {"a": list(own)},
        {} if printed is None else {"a": [quote]},
    )  # fmt: skip
    for universe in universes.plan(GRID).universes:
        values = GRID.values(universe)
        holds = round(16 * share(values))
        judged = verdicts.judge(holds, 0, 16)
        errors = medians(values) * np.exp(0.1 * rng.normal(size=16))
        result.universes[GRID.name(universe)] = {
            "settings": GRID.changes(universe),
            "seeds": 16,
            "metrics": {"a": {"error": numbers(errors)}},
            "relations": {
                RELATION: {"verdict": str(judged.verdict), "tag": judged.tag, "holds": holds, "ties": 0, "n": 16}
            },
            "outcomes": {RELATION: "1" * holds + "0" * (16 - holds)},
            "cpu_seconds": {"a": 1.0},
        }
    return result


def flipping(values: Settings) -> float:
    """Return a share that one setting decides, another one changes a little, and the third one does not change."""
    return 15 / 16 if not values["norm"] else 2 / 16 + (values["batch"] == 32) * 2 / 16


def test_setting_that_decides_alone_is_named():
    described = describe(multiverse(flipping))
    assert described["verdicts"] == {"NOT_REPRODUCED": 4, "REPRODUCED": 4}
    assert described["alone"] == {"norm": [False]}
    assert described["flips"] == [{"norm": False}]
    assert described["summary"] == (
        "NOT_REPRODUCED in 4 of 8 universes, REPRODUCED in 4: it depends on norm alone, and changes with norm=false"
    )
    assert described["relation"] == RELATION
    largest = described["variance"][0]
    assert largest["settings"] == ["norm"]
    assert largest["share"] > 0.9


def test_contributions_add_up_to_the_difference():
    described = describe(multiverse(flipping))
    parts = {part["setting"]: part["value"] for part in described["contributions"]}
    assert parts == pytest.approx({"norm": 13 / 16})


def test_universes_are_sorted_by_share():
    described = describe(multiverse(flipping))
    shares = [universe["holds"] / universe["n"] for universe in described["universes"]]
    assert shares == sorted(shares)
    assert all(universe["lower"] < universe["holds"] / 16 < universe["upper"] for universe in described["universes"])


def test_equal_verdicts_depend_on_nothing():
    described = describe(multiverse(lambda values: 1 / 16))
    assert described["summary"] == "NOT_REPRODUCED in all 8 universes"
    assert (described["flips"], described["alone"], described["variance"]) == ([], {}, [])


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ({"REPRODUCED": 1}, "REPRODUCED in the only universe"),
        ({"REPRODUCED": 2, "INCONCLUSIVE": 3}, "INCONCLUSIVE in 3 of 5 universes, REPRODUCED in 2"),
    ],
)
def test_verdicts_are_counted_in_words(counts: dict[str, int], text: str):
    assert tally(counts) == text


def medians(values: Settings) -> float:
    return (1.0 if values["norm"] else 3.0) * (1.0 if values["batch"] == 64 else 1.6)


def test_universe_of_printed_numbers_is_found():
    claims = [multiverse(flipping, f"toy/{'x' * number}", medians, printed=4.77) for number in range(1, 5)]
    [origin] = origins(claims)
    assert (origin["lab"], origin["runs"], origin["numbers"], origin["universes"]) == ("toy", 4, 4, 8)
    assert origin["p"] > 0.05
    assert {one["name"] for one in origin["likely"][:2]} == {
        "norm=false, batch=32", "norm=false, batch=32, split=seed",
    }  # fmt: skip
    factors = {one["setting"]: one["bayes_factor"] for one in origin["settings"]}
    assert factors["norm"] < 0.01
    assert factors["batch"] < 0.1
    assert 0.1 < factors["split"] < 10
    assert origin["claims"]["toy/x"]["REPRODUCED"] > 0.95
    assert "norm=false is more compatible than the assumed value" in origin["summary"]


def test_numbers_that_no_universe_prints_are_named():
    claims = [multiverse(flipping, f"toy/{'x' * number}", medians, printed=100.0) for number in range(1, 5)]
    [origin] = origins(claims)
    assert origin["p"] < 0.01
    assert origin["summary"] == (
        "none of the 8 universes that were tried prints the 4 printed numbers of 4 runs (p < 0.01)"
    )


def test_setting_that_an_arm_sets_itself_is_not_judged():
    [origin] = origins([multiverse(flipping, "toy/one", medians, printed=4.77, own=("norm",))])
    factors = {one["setting"]: one["bayes_factor"] for one in origin["settings"]}
    assert factors["norm"] == pytest.approx(1)


def test_claims_without_printed_numbers_have_no_origin():
    assert origins([multiverse(flipping)]) == []


def test_specification_curve_has_a_row_for_each_value():
    claim = {"id": "toy/one", "universes": describe(multiverse(flipping))}
    [panel] = specification_curve(claim)
    for text in ("norm true", "norm false", "batch 32", "split seed", "8 universes"):
        assert text in panel.svg
    assert specification_curve({"id": "toy/one", "universes": None}) == []
