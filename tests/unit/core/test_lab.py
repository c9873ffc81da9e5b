"""Settings of a lab: what goes before what, and what is refused."""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from labcheck.core.assumptions import Grade, assumed, known
from labcheck.core.lab import Data, Lab, Settings
from labcheck.core.trials import Trials


@dataclass(frozen=True, kw_only=True)
class Kettle(Lab):
    name: ClassVar[str] = "kettle"
    scales: ClassVar[Mapping[str, Settings]] = {"quick": {"litres": 1, "watts": 500.0}}

    minutes: int = 3
    litres: int = assumed(2, "not stated; what it holds")
    watts: float = assumed(2000.0, "of most kettles")
    lid: bool = assumed(True, "seldom left off", False, grade="likely")
    water: str = known("tap", "script", "read in the recipe")
    cups: tuple[int, ...] = assumed((2, 2), "for the two of us", (4,), (1, 1, 1))
    tea: Mapping[str, float] | None = assumed(None, "not everybody wants some")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_choice("water", (word for word in ("tap", "spring")))
        self.require_at_least(1, "minutes", "cups")
        self.require_at_least(0, "watts")

    @classmethod
    def data(cls) -> Data:
        return Data("water", "0")

    def train(self, seeds: Sequence[int], device: str = "cpu") -> Trials:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("scale", "overrides", "arm", "expected"),
    [
        ("", {}, {}, (3, 2, 2000.0)),
        ("full", {}, {}, (3, 2, 2000.0)),
        ("quick", {}, {}, (3, 1, 500.0)),
        ("quick", {"litres": 4}, {}, (3, 4, 500.0)),
        ("quick", {}, {"litres": 5}, (3, 5, 500.0)),
        ("quick", {"litres": 4, "watts": 9.0}, {"litres": 5, "minutes": 7}, (7, 5, 9.0)),
    ],
)
def test_the_arm_goes_before_overrides_and_those_before_the_scale(
    scale: str, overrides: Settings, arm: Settings, expected: tuple[int, int, float]
) -> None:
    lab = Kettle.configure(scale, overrides, arm)
    assert isinstance(lab, Kettle)
    assert (lab.minutes, lab.litres, lab.watts) == expected


def test_configuring_changes_neither_the_scales_nor_what_is_given() -> None:
    overrides, arm = {"litres": 4}, {"watts": 9.0}
    Kettle.configure("quick", overrides, arm)
    assert (overrides, arm) == ({"litres": 4}, {"watts": 9.0})
    assert Kettle.scales == {"quick": {"litres": 1, "watts": 500.0}}


@pytest.mark.parametrize(("overrides", "arm"), [({"volts": 230}, {}), ({}, {"volts": 230}), ({"volts": 1}, {"lid": 0})])
def test_a_setting_that_does_not_exist_is_refused_with_those_that_do(overrides: Settings, arm: Settings) -> None:
    with pytest.raises(
        ValueError, match=r"^kettle has no setting 'volts'; it has minutes, litres, watts, lid, water, cups, tea$"
    ):
        Kettle.configure("quick", overrides, arm)


def test_a_word_that_is_not_allowed_is_refused_with_those_that_are() -> None:
    with pytest.raises(ValueError, match=r"^kettle\.water is one of tap, spring, not 'sea'$"):
        Kettle.configure("quick", {}, {"water": "sea"})
    assert Kettle.configure("quick", {}, {"water": "spring"}).water == "spring"


@pytest.mark.parametrize("cups", [(0,), (-1,), (2, 0), (0, 2)])
def test_one_number_that_is_too_small_is_one_too_many(cups: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=rf"^kettle\.cups is at least 1, not {re.escape(repr(cups))}$"):
        Kettle(cups=cups)


@pytest.mark.parametrize("settings", [{"cups": (1,)}, {"cups": (3, 1, 2)}, {"cups": ()}, {"minutes": 1}])
def test_numbers_that_are_large_enough_are_taken(settings: Settings) -> None:
    assert Kettle.configure("", {}, settings) == Kettle(**settings)


def test_not_a_number_is_too_small() -> None:
    with pytest.raises(ValueError, match=r"^kettle\.watts is at least 0, not nan$"):
        Kettle(watts=math.nan)


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        *(("minutes", value, "a whole number") for value in (2.0, 2.5, "2", True, None, (2,), math.nan)),
        *(("watts", value, "a number") for value in ("9", True, None, (9.0,), 1j)),
        *(("lid", value, "true or false") for value in (0, 1, "true", None)),
        *(("water", value, "a word") for value in (7, None, ("tap",), b"tap")),
        *(
            ("cups", value, "a tuple of whole numbers, ")
            for value in (2, "2-2", (2, 0.5), ("a",), (True,), (2, None), frozenset({2, 3}))
        ),
    ],
)
def test_a_value_of_another_type_is_refused(name: str, value: Any, kind: str) -> None:
    message = rf"^kettle\.{name} is {kind}.*not {re.escape(repr(value))}$"
    with pytest.raises(ValueError, match=message):
        Kettle(**{name: value})
    with pytest.raises(ValueError, match=message):
        Kettle.configure("quick", {name: value}, {})


@pytest.mark.parametrize(
    "settings", [{"watts": 9}, {"watts": math.inf}, {"lid": False}, {"cups": (3,)}, {"tea": {"green": 1}}, {"tea": 7}]
)
def test_a_value_of_its_type_or_of_no_type_that_is_known_is_taken(settings: Settings) -> None:
    assert {name: getattr(Kettle(**settings), name) for name in settings} == settings


def test_a_lab_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Kettle().litres = 3


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("litres", "7", 7),
        ("litres", "-7", -7),
        ("watts", "0.5", 0.5),
        ("watts", "1e-3", 0.001),
        ("watts", "7", 7.0),
        ("lid", "true", True),
        ("lid", "false", False),
        ("lid", "False", False),
        ("lid", "TRUE", True),
        ("water", "spring", "spring"),
        ("water", "7", "7"),
        ("cups", "32-32", (32, 32)),
        ("cups", "7", (7,)),
        ("cups", "1-20-3", (1, 20, 3)),
    ],
)
def test_open_settings_are_read_as_their_type(name: str, text: str, value: Any) -> None:
    read = Kettle.parse(name, text)
    assert read == value
    assert type(read) is type(value)


def test_infinity_is_a_float() -> None:
    assert math.isinf(Kettle.parse("watts", "inf"))


NOT_WIDTHS = ["", "-", "32-", "-32", "32--32", "32-32-", "32,32", "32x32", "32.0", "(32, 32)", "[32]", "two"]


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("litres", "7.5", "a whole number"),
        ("litres", "", "a whole number"),
        ("litres", "true", "a whole number"),
        ("watts", "much", "a number"),
        ("watts", "", "a number"),
        ("lid", "yes", "true or false"),
        ("lid", "1", "true or false"),
        ("lid", "", "true or false"),
        *(("cups", text, "a tuple of whole numbers, 32-32 on a command line") for text in NOT_WIDTHS),
    ],
)
def test_what_is_not_of_the_type_of_its_setting_is_refused(name: str, text: str, kind: str) -> None:
    with pytest.raises(ValueError, match=rf"^kettle\.{name} is {kind}, not '{re.escape(text)}'$"):
        Kettle.parse(name, text)


def test_what_cannot_be_written_in_a_word_is_not_read() -> None:
    with pytest.raises(ValueError, match=r"^kettle\.tea cannot be given on a command line$"):
        Kettle.parse("tea", "green")


@pytest.mark.parametrize("name", ["minutes", "volts", "name", "scales"])
def test_parse_refuses_settings_that_the_report_states(name: str) -> None:
    message = (
        f"kettle has no setting '{name}' that its report leaves unstated; those are "
        "litres, watts, lid, water, cups, tea"
    )
    with pytest.raises(ValueError, match=f"^{message}$"):
        Kettle.parse(name, "1")


def test_evidence_is_of_each_setting_that_is_not_stated() -> None:
    evidence = Kettle.unstated()
    assert evidence == {
        "litres": Justification(Grade.OPEN, "not stated; what it holds"),
        "watts": Justification(Grade.OPEN, "of most kettles"),
        "lid": Justification(Grade.LIKELY, "seldom left off", (False,)),
        "water": Justification(Grade.SCRIPT, "read in the recipe"),
        "cups": Justification(Grade.OPEN, "for the two of us", ((4,), (1, 1, 1))),
        "tea": Justification(Grade.OPEN, "not everybody wants some"),
    }
    assert list(evidence) == [field.name for field in dataclasses.fields(Kettle) if field.name != "minutes"]
    assert [grade.value for grade in Grade] == ["stated", "script", "numbers", "likely", "open"]


@pytest.mark.parametrize("grade", ["script", "numbers"])
def test_known_takes_the_grades_of_a_source(grade: str) -> None:
    field = known(64, grade, "read")
    assert (field.default, field.metadata["evidence"]) == (64, Justification(Grade(grade), "read"))


@pytest.mark.parametrize("grade", ["stated", "likely", "open", "sure", ""])
def test_known_refuses_the_grades_of_a_guess(grade: str) -> None:
    message = f"^a known setting has the grade script or numbers, not '{grade}': use assumed for others$"
    with pytest.raises(ValueError, match=message):
        known(64, grade, "read")


@pytest.mark.parametrize("grade", ["stated", "script", "numbers", "sure", ""])
def test_assumed_refuses_the_grades_of_a_source(grade: str) -> None:
    message = f"^an assumed setting has the grade likely or open, not '{grade}': use known for others$"
    with pytest.raises(ValueError, match=message):
        assumed(64, "not stated", grade=grade)


@pytest.mark.parametrize("alternatives", [(64,), (32, 64), (64, 128)])
def test_assumed_refuses_its_default_as_alternative(alternatives: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^64 is the default, and cannot be an alternative to itself$"):
        assumed(64, "not stated", *alternatives)


def test_assumed_takes_an_equal_value_of_another_type() -> None:
    assert assumed(1, "not stated", True, 1.0).metadata["evidence"].alternatives == (True, 1.0)


def test_a_lab_without_data_or_training_cannot_be_made() -> None:
    class Idea(Lab):
        name: ClassVar[str] = "idea"

    with pytest.raises(TypeError, match=r"abstract methods .*data.*train"):
        Idea()
