"""Claims: what they derive from their arms and relations, and which mistakes they refuse."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest

from labcheck import (
    Arm,
    Claim,
    ClaimError,
    Data,
    Lab,
    Metric,
    Relation,
    Scale,
    Trials,
    beats,
    geometric_mean,
    improves_more,
    no_worse,
    reaches,
)
from labcheck.core.claims import Quote
from labcheck.core.lab import Settings
from labcheck.core.metrics import CPU_SECONDS
from tests.helpers.claims import ERROR, SCORE

OTHER = Metric("y", higher_is_better=False)


@dataclass(frozen=True, kw_only=True)
class Kettle(Lab):
    name: ClassVar[str] = "kettle"
    scales: ClassVar[Mapping[str, Settings]] = {"quick": {"liters": 1}}

    liters: int = 2
    water: str = "tap"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_choice("water", ["tap", "spring"])
        if self.liters > 9:
            raise RuntimeError("it would\noverflow")

    @classmethod
    def data(cls) -> Data:
        return Data("water", "0")

    def train(self, seeds: Sequence[int], device: str = "cpu") -> Trials:
        raise NotImplementedError


class Nameless(Kettle):
    name = ""


def claim(*relations: Relation, **arms: Arm) -> Claim:
    return Claim(id="kettle/c", statement="", citation="", lab=Kettle, arms=arms, relations=relations)


def valid(**changes: Any) -> Claim:
    """Return a valid claim with some fields changed; a claim of the module would be collected as a test."""
    return replace(claim(reaches("a", 1, ERROR), a=Arm()), **changes)


def refusal(wrong: Claim) -> str:
    with pytest.raises(ClaimError) as caught:
        wrong.validate()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# validation


def test_claim_is_valid_if_its_parts_fit():
    relations = beats("a", "b", ERROR), no_worse("b", "a", ERROR), beats("a", "b", SCORE, label="again")
    claim(*relations, a=Arm({"liters": 3}), b=Arm({"water": "spring"})).validate()


@pytest.mark.parametrize("name", ["kettle", "kettle/", "/c", "kettle/c/d", "kettle/.c", "kettle/c d", "", 3, None])
def test_claim_is_refused_unless_id_is_lab_and_name(name: Any):
    message = f"{name!r}: an id must be <lab>/<claim>, of letters, digits, '-', '_' and '.'"
    assert refusal(valid(id=name)) == message


def test_claim_is_refused_unless_id_has_name_of_lab():
    assert refusal(valid(id="pot/c")) == "pot/c: the first half of an id must be the lab's name, 'kettle'"


@pytest.mark.parametrize("part", [{"statement": None}, {"citation": 7}])
def test_claim_is_refused_unless_its_texts_are_strings(part: dict[str, Any]):
    assert refusal(valid(**part)) == "kettle/c: statement and citation must be strings"


@pytest.mark.parametrize("lab", [None, "kettle", Kettle(), dict])
def test_claim_is_refused_unless_lab_is_class_of_labs(lab: Any):
    message = 'kettle/c: lab must be a function decorated with @lab(name), such as @lab("digits"), or a subclass of lab'
    assert refusal(valid(lab=lab)).startswith(message)


@pytest.mark.parametrize(
    ("lab", "expected"),
    [("kettle", "lab/boil: lab must be a function decorated"), (Kettle(), "kettle/boil: lab must be a function")],
)
def test_invalid_lab_is_named_even_if_id_is_missing(lab: Any, expected: str):
    assert refusal(valid(id="", lab=lab).named("test_boil", "claim")).startswith(expected)


def test_arm_without_relation_has_metrics_of_all_relations():
    other = Metric("y", higher_is_better=True)
    made = claim(beats("a", "b", ERROR), reaches("a", 1, other), a=Arm({"liters": 3}), b=Arm(), c=Arm({"liters": 4}))
    assert made.metrics("b") == [ERROR]
    assert made.metrics("c") == [ERROR, other]


def test_claim_is_refused_if_lab_is_invalid():
    assert refusal(valid(lab=Nameless)).startswith("kettle/c: Nameless.name must be a string of letters, ")


@pytest.mark.parametrize("arms", [None, [Arm()], {"a": {}}, {"a": None}, {1: Arm()}])
def test_claim_is_refused_unless_arms_are_arms_by_name(arms: Any):
    message = "kettle/c: arms must be a dict from names to Arms, such as {'relu': Arm({…})}"
    assert refusal(valid(arms=arms)) == message


@pytest.mark.parametrize("arm", [Arm(None), Arm([("liters", 1)]), Arm({}, None), Arm({}, [1.5])])  # type: ignore[arg-type]
def test_claim_is_refused_unless_settings_and_quotes_are_dicts(arm: Arm):
    message = "kettle/c: arm 'a': settings must be a dict, and quoted a dict of the numbers that each place prints, "
    assert refusal(valid(arms={"a": arm})).startswith(message)


@pytest.mark.parametrize(
    "quoted", [{"Table 1": {"x": 1.5}}, {"Table 1": 1.5}, {ERROR: 1.5}, {"Table 1": {ERROR: "1.5"}}]
)
def test_claim_is_refused_unless_quotes_are_numbers_by_metric(quoted: Any):
    ((where, numbers),) = quoted.items()
    assert refusal(claim(reaches("a", 1, ERROR), a=Arm(quoted=quoted))) == (
        f"kettle/c: arm 'a': the numbers of '{where}' must be a dict from Metrics to numbers, got {numbers!r}"
    )


@pytest.mark.parametrize("relations", [None, beats("a", "b", ERROR), ["a beats b"], {"a": beats("a", "b", ERROR)}])
def test_claim_is_refused_unless_relations_are_list(relations: Any):
    assert refusal(valid(relations=relations)) == (
        "kettle/c: relations must be a list of them, such as [beats('relu', 'tanh', TEST_MSE)]"
    )


@pytest.mark.parametrize(
    ("relations", "arms", "message"),
    [
        ([], "a", "a claim must have at least one relation"),
        ([beats("a", "d", ERROR)], "ab", "relation 'a beats d on x' needs arm 'd'; arms are a, b"),
        (
            [improves_more(("a", "b"), ("a", "d"), ERROR)],
            "ab",
            "relation 'a improves more on b than a on d by x' needs arm 'd'; arms are a, b",
        ),
        (
            [beats("a", "b", ERROR), reaches("a", 1, ERROR), beats("a", "b", SCORE)],
            "ab",
            "two relations have the name 'a beats b on x'",
        ),
    ],
    ids=["no relation", "unknown arm", "unknown fourth arm", "one name twice"],
)
def test_claim_is_refused_if_relations_and_arms_do_not_fit(relations: list[Relation], arms: str, message: str):
    assert refusal(claim(*relations, **{name: Arm() for name in arms})) == f"kettle/c: {message}"


def test_claim_is_refused_if_notes_are_string():
    assert refusal(valid(notes="One sentence.")) == "kettle/c: notes must be a list of sentences"


@pytest.mark.parametrize(
    "seeds", [{}, {"quick": 0}, {"quick": 5, "fast": 5}, {"quick": "20"}, {"quick": True}, 20, None]
)
def test_claim_is_refused_unless_seeds_are_positive_by_scale(seeds: Any):
    assert refusal(valid(seeds=seeds)) == (
        f"kettle/c: seeds must be a positive number for each scale, quick or full, such as {{'quick': 20}}, "
        f"got {seeds!r}"
    )


@pytest.mark.parametrize("comparable", ["quick", ["fast"], ["quick", "fast"]])
def test_claim_is_refused_unless_comparable_names_scales(comparable: Any):
    message = f"kettle/c: comparable must be a list of the scales quick and full, got {comparable!r}"
    assert refusal(valid(comparable=comparable)) == message


@pytest.mark.parametrize("name", ["", "a\nb", "a\x00"])
def test_claim_is_refused_unless_names_are_printable(name: str):
    message = f"kettle/c: names of arms and relations must be printable strings, got {name!a}"
    assert refusal(claim(reaches("a", 1, ERROR), **{"a": Arm(), name: Arm()})) == message


def test_claim_is_refused_unless_labels_are_printable():
    message = "kettle/c: names of arms and relations must be printable strings, got 'Table\\n1: a has x \\u2264 1'"
    assert refusal(claim(reaches("a", 1, ERROR, label="Table\n1"), a=Arm())) == message


# configuration


def test_claim_configures_lab_of_each_arm_at_scale():
    both = claim(beats("a", "b", ERROR), a=Arm({"water": "spring"}), b=Arm({"liters": 5}))
    assert both.configure(Scale.QUICK) == {"a": Kettle(liters=1, water="spring"), "b": Kettle(liters=5)}
    assert both.configure(Scale.FULL) == {"a": Kettle(liters=2, water="spring"), "b": Kettle(liters=5)}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"volts": 1}, "kettle has no setting 'volts'; it has liters, water"),
        ({"water": "sea"}, "kettle.water must be one of tap, spring, got 'sea'"),
        ({"liters": 1.5}, "kettle.liters must be a whole number, got 1.5"),
        ({"liters": 10}, "RuntimeError: it would overflow"),
    ],
    ids=["unknown setting", "unknown choice", "wrong type", "own error"],
)
def test_claim_names_arm_that_lab_refuses(settings: dict[str, Any], message: str):
    wrong = claim(beats("a", "b", ERROR), a=Arm(), b=Arm(settings))
    wrong.validate()
    with pytest.raises(ClaimError) as caught:
        wrong.configure(Scale.QUICK)
    assert str(caught.value) == f"kettle/c: arm 'b': {message}"


# derived values


def test_claim_has_metrics_of_arm_without_repetition():
    relations = (
        beats("a", "b", ERROR, other=SCORE),
        reaches("a", 1, geometric_mean("loss", rising=False)),
        reaches("a", 2, ERROR),
    )
    several = claim(
        *relations, a=Arm(quoted={"Table 1": {OTHER: 1.5, ERROR: 2.5, CPU_SECONDS: 9}, "text": {ERROR: 3}}), b=Arm()
    )
    assert [metric.id for metric in several.metrics("a")] == ["y", "x", "geometric mean of loss"]
    assert several.metrics("b") == [SCORE]


def test_arm_has_all_quoted_numbers():
    arm = Arm(quoted={"Table 1": {OTHER: 1.5, ERROR: 2}, "text": {ERROR: 3}})
    assert arm.quotes == [Quote("Table 1", OTHER, 1.5), Quote("Table 1", ERROR, 2.0), Quote("text", ERROR, 3.0)]
    assert all(type(quote.value) is float for quote in arm.quotes)


@pytest.mark.parametrize(
    ("comparable", "scales"),
    [(("quick", "full"), {"quick", "full"}), (["full"], {"full"}), ([Scale.QUICK], {"quick"}), ([], set())],
)
def test_claim_has_quotes_at_comparable_scales(comparable: Sequence[str], scales: set[str]):
    quoting = valid(arms={"a": Arm(quoted={"text": {ERROR: 3}})}, comparable=comparable)
    assert {scale for scale in Scale if quoting.quotes("a", scale)} == scales


def test_claim_is_comparable_at_all_scales_by_default():
    assert list(valid().comparable) == list(Scale)


def test_claim_has_scales_of_its_seeds():
    assert valid().scales == [Scale.QUICK]
    assert valid(seeds={"full": 3, "quick": 60}).scales == [Scale.FULL, Scale.QUICK]


def test_claim_has_names_of_arms_and_relations():
    both = claim(beats("a", "b", ERROR), reaches("b", 1, ERROR), a=Arm(), b=Arm())
    assert both.names == ["a", "b", "a beats b on x", "b has x ≤ 1"]


@pytest.mark.parametrize(
    ("arms", "expected"), [("a", {"liters", "water"}), ("ab", {"liters", "water"}), ("abc", {"water"}), ("acd", set())]
)
def test_claim_has_common_settings_of_arms(arms: str, expected: set[str]):
    several = claim(
        reaches("a", 1, ERROR),
        a=Arm({"liters": 1, "water": "tap"}),
        b=Arm({"liters": 2, "water": "tap"}),
        c=Arm({"water": "spring"}),
        d=Arm(),
    )
    assert several.common_settings(arms) == expected
