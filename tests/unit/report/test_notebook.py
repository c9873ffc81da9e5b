"""Claims that are judged in Python, without pytest and baselines."""

import html
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from labcheck import Arm, Claim, ClaimError, Verdict, beats, check, lab, score
from labcheck.engine.session import NotMeasuredError
from tests.helpers.report import visible_text


@lab("coin", data="drawn", scales={"full": {"bias": 0.2}})
def toss(seed: int, *, bias: float = 0.1, tosses: int = 5, fails: bool = False, loaded: bool = False) -> Any:
    if fails:
        raise OSError("no coin")
    rng = np.random.default_rng(0 if loaded else seed)
    return {"share": bias + rng.random(), "shares": rng.random(tosses)}


def coin(**changes: Any) -> Claim:
    """Return a claim that holds in every seed, with these changes; a claim of this module would be collected."""
    biased = Claim(
        statement="A biased coin shows heads more often.",
        lab=toss,
        arms={"biased": Arm({"bias": 1.5}), "fair": Arm()},
        relations=[beats("biased", "fair", score("share"))],
        seeds={"quick": 20, "full": 5},
    )
    return replace(biased, **changes)


def test_claim_is_judged_until_decided():
    checked = check(coin())
    assert checked.verdict is Verdict.REPRODUCED
    assert str(checked).splitlines()[1].split() == ["coin/claim", "REPRODUCED", "1", "/", "0", "/", "0", "8", "drawn"]
    assert len(checked.trials["fair"]) == 8
    assert checked.trials["fair"].metrics["share"][3] == toss(3)["share"]


def test_claim_without_id_is_named_after_its_variable():
    biased_wins = coin()
    assert check(biased_wins, seeds=2).report["claims"][0]["id"] == "coin/biased-wins"


def test_notes_are_below_table():
    settings = {"biased": Arm({"bias": 1.5, "loaded": True}), "fair": Arm({"loaded": True})}
    checked = check(coin(arms=settings), seeds=3)
    assert [line.partition(":")[0] for line in checked.table[-2:]] == ["coin/claim (quick)"] * 2
    assert "arm 'fair' gives equal results for all 3 seeds" in checked.table[-1]


def test_number_of_seeds_and_scale_can_be_stated():
    checked = check(coin(), seeds=3)
    assert (checked.verdict, len(checked.trials["biased"])) == (Verdict.INCONCLUSIVE, 3)
    assert check(coin(), scale="full").report["claims"][0]["arms"][1]["settings"]["bias"] == 0.2


def test_notebook_shows_page(tmp_path: Any):
    [page] = re.findall(r'<iframe srcdoc="([^"]*)"', check(coin(id="coin/bias"), seeds=2)._repr_html_())
    text = visible_text(html.unescape(page))
    assert "coin/bias" in text
    assert "A biased coin shows heads more often." in text


def test_trials_are_data_frame():
    frame = check(coin(), seeds=3).trials["fair"].to_frame()
    assert list(frame.index) == [0, 1, 2]
    assert frame["share"][2] == toss(2)["share"]
    assert frame["shares"][1] == toss(1)["shares"][-1]


@pytest.mark.parametrize(
    ("claim", "options", "kind", "message"),
    [
        (coin(), {"scale": "half"}, ValueError, "scale must be one of quick, full, got 'half'"),
        (coin(), {"seeds": 0}, ValueError, "seeds must be a positive number, got 0"),
        (
            coin(arms={"biased": Arm({"bias": 0.1}), "fair": Arm()}),
            {},
            ClaimError,
            "coin/claim: arms 'biased' and 'fair' have equal settings, so 'biased beats fair on share' is a tie in "
            "every seed; give one of them another setting",
        ),
        (coin(arms={}), {}, ClaimError, "needs arm 'biased'"),
        (coin(arms={**coin().arms, "fair": Arm({"fails": True})}), {}, NotMeasuredError, "OSError: no coin"),
        (
            coin(relations=[beats("biased", "fair", score("x"))]),
            {},
            NotMeasuredError,
            "no metric 'x'; available",
        ),
    ],
)
def test_claim_is_refused_in_one_line(claim: Claim, options: dict[str, Any], kind: type[Exception], message: str):
    with pytest.raises(kind, match=re.escape(message)) as caught:
        check(claim, **options)
    assert "\n" not in str(caught.value)
