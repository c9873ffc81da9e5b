"""Labs: their settings, which values precede which, and which are refused."""

import dataclasses
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import pytest

from labcheck import Alternative, Data, Lab, Trials, assumed, known
from labcheck.core.assumptions import Grade, Justification
from labcheck.core.lab import Settings


@dataclass(frozen=True, kw_only=True)
class Kettle(Lab):
    name: ClassVar[str] = "kettle"
    scales: ClassVar[Mapping[str, Settings]] = {"quick": {"liters": 1, "watts": 500.0}}

    minutes: int = 3
    liters: int = assumed(2, "not stated; its capacity")
    watts: float = assumed(2000.0, "typical of kettles")
    lid: bool = assumed(True, "rarely left off", False, grade="likely")
    water: str = known("tap", "script", "read in the recipe")
    cups: tuple[int, ...] = assumed((2, 2), "for two people", (4,), (1, 1, 1))
    tea: Mapping[str, float] | None = assumed(None, "optional")

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
    ("scale", "arm", "expected"),
    [
        ("", {}, (3, 2, 2000.0)),
        ("full", {}, (3, 2, 2000.0)),
        ("quick", {}, (3, 1, 500.0)),
        ("quick", {"liters": 5}, (3, 5, 500.0)),
        ("quick", {"liters": 5, "minutes": 7}, (7, 5, 500.0)),
    ],
)
def test_configure_prefers_arm_to_scale_and_scale_to_default(
    scale: str, arm: Settings, expected: tuple[int, int, float]
):
    lab = Kettle.configure(scale, arm)
    assert isinstance(lab, Kettle)
    assert (lab.minutes, lab.liters, lab.watts) == expected


def test_configure_does_not_change_its_arguments():
    arm = {"watts": 9.0}
    Kettle.configure("quick", arm)
    assert arm == {"watts": 9.0}
    assert Kettle.scales == {"quick": {"liters": 1, "watts": 500.0}}


def test_override_replaces_settings():
    lab = Kettle.configure("quick", {"liters": 5})
    assert lab.override({"watts": 9.0}) == Kettle(liters=5, watts=9.0)
    assert lab.override({}) is lab


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"water": "sea"}, "kettle.water must be one of tap, spring, got 'sea'"),
        ({"liters": "2"}, "kettle.liters must be a whole number, got '2'"),
        ({"tea": object()}, "kettle.tea: object cannot be written and read back; "),
    ],
)
def test_override_refuses_invalid_value(changes: Settings, message: str):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        Kettle().override(changes)


@pytest.mark.parametrize("arm", [{"volts": 230}, {"volts": 1, "lid": 0}])
def test_configure_refuses_unknown_setting(arm: Settings):
    with pytest.raises(
        ValueError, match=r"^kettle has no setting 'volts'; it has minutes, liters, watts, lid, water, cups, tea$"
    ):
        Kettle.configure("quick", arm)


def test_require_choice_refuses_other_word():
    with pytest.raises(ValueError, match=r"^kettle\.water must be one of tap, spring, got 'sea'$"):
        Kettle.configure("quick", {"water": "sea"})
    assert Kettle.configure("quick", {"water": "spring"}).water == "spring"


@pytest.mark.parametrize("cups", [(0,), (-1,), (2, 0), (0, 2)])
def test_require_at_least_refuses_tuple_with_small_number(cups: tuple[int, ...]):
    with pytest.raises(ValueError, match=rf"^kettle\.cups must be at least 1, got {re.escape(repr(cups))}$"):
        Kettle(cups=cups)


@pytest.mark.parametrize("settings", [{"cups": (1,)}, {"cups": (3, 1, 2)}, {"cups": ()}, {"minutes": 1}])
def test_require_at_least_accepts_large_numbers(settings: Settings):
    assert Kettle.configure("", settings) == Kettle(**settings)


def test_require_at_least_refuses_nan():
    with pytest.raises(ValueError, match=r"^kettle\.watts must be at least 0, got nan$"):
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
def test_lab_refuses_value_of_wrong_type(name: str, value: Any, kind: str):
    message = rf"^kettle\.{name} must be {kind}.*got {re.escape(repr(value))}$"
    with pytest.raises(ValueError, match=message):
        Kettle(**{name: value})
    with pytest.raises(ValueError, match=message):
        Kettle.configure("quick", {name: value})


@pytest.mark.parametrize(
    "settings", [{"watts": 9}, {"watts": math.inf}, {"lid": False}, {"cups": (3,)}, {"tea": {"green": 1}}, {"tea": 7}]
)
def test_lab_accepts_value_of_its_type_or_of_unknown_type(settings: Settings):
    assert {name: getattr(Kettle(**settings), name) for name in settings} == settings


def test_lab_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Kettle().liters = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("liters", "7", 7),
        ("liters", "-7", -7),
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
def test_parse_returns_value_of_type_of_setting(name: str, text: str, value: Any):
    parsed = Kettle.parse(name, text)
    assert parsed == value
    assert type(parsed) is type(value)


def test_parse_accepts_infinity():
    assert math.isinf(Kettle.parse("watts", "inf"))


NOT_WIDTHS = ["", "-", "32-", "-32", "32--32", "32-32-", "32,32", "32x32", "32.0", "(32, 32)", "[32]", "two"]


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("liters", "7.5", "a whole number"),
        ("liters", "", "a whole number"),
        ("liters", "true", "a whole number"),
        ("watts", "much", "a number"),
        ("watts", "", "a number"),
        ("lid", "yes", "true or false"),
        ("lid", "1", "true or false"),
        ("lid", "", "true or false"),
        *(("cups", text, "a tuple of whole numbers, 32-32 on a command line") for text in NOT_WIDTHS),
    ],
)
def test_parse_refuses_value_of_wrong_type(name: str, text: str, kind: str):
    with pytest.raises(ValueError, match=rf"^kettle\.{name} must be {kind}, got '{re.escape(text)}'$"):
        Kettle.parse(name, text)


def test_parse_refuses_setting_of_unknown_type():
    with pytest.raises(ValueError, match=r"^kettle\.tea cannot be set on a command line$"):
        Kettle.parse("tea", "green")


@pytest.mark.parametrize("name", ["minutes", "volts", "name", "scales"])
def test_parse_refuses_setting_that_report_states(name: str):
    message = (
        f"kettle has no setting '{name}' that its report leaves unstated; those are "
        "liters, watts, lid, water, cups, tea"
    )
    with pytest.raises(ValueError, match=f"^{message}$"):
        Kettle.parse(name, "1")


def test_unstated_has_justification_of_each_setting():
    justifications = Kettle.unstated()
    assert justifications == {
        "liters": Justification(Grade.OPEN, "not stated; its capacity"),
        "watts": Justification(Grade.OPEN, "typical of kettles"),
        "lid": Justification(Grade.LIKELY, "rarely left off", (Alternative(False),)),
        "water": Justification(Grade.SCRIPT, "read in the recipe"),
        "cups": Justification(Grade.OPEN, "for two people", (Alternative((4,)), Alternative((1, 1, 1)))),
        "tea": Justification(Grade.OPEN, "optional"),
    }
    assert list(justifications) == [field.name for field in dataclasses.fields(Kettle) if field.name != "minutes"]
    assert [grade.value for grade in Grade] == ["stated", "script", "numbers", "likely", "open"]


@pytest.mark.parametrize("grade", ["script", "numbers"])
def test_known_accepts_grades_of_source(grade: str):
    field = known(64, grade, "read")
    assert (field.default, field.metadata["justification"]) == (64, Justification(Grade(grade), "read"))


@pytest.mark.parametrize("grade", ["stated", "likely", "open", "sure", ""])
def test_known_refuses_other_grades(grade: str):
    message = f"^a known setting must have the grade script or numbers, got '{grade}'; use `assumed`$"
    with pytest.raises(ValueError, match=message):
        known(64, grade, "read")


@pytest.mark.parametrize("grade", ["stated", "script", "numbers", "sure", ""])
def test_assumed_refuses_other_grades(grade: str):
    message = f"^an assumed setting must have the grade likely or open, got '{grade}'; use `known`$"
    with pytest.raises(ValueError, match=message):
        assumed(64, "not stated", grade=grade)


@pytest.mark.parametrize("alternatives", [(64,), (32, 64), (64, 128)])
def test_assumed_refuses_default_as_alternative(alternatives: tuple[int, ...]):
    message = r"^an alternative must differ from the default and from the others, got 64$"
    with pytest.raises(ValueError, match=message):
        assumed(64, "not stated", *alternatives)
    with pytest.raises(ValueError, match=message):
        known(64, "script", "read", *alternatives)


def test_assumed_accepts_equal_alternative_of_other_type():
    alternatives = assumed(1, "not stated", True, 1.0).metadata["justification"].alternatives
    assert [(type(other.value), other.value) for other in alternatives] == [(bool, True), (float, 1.0)]


def test_alternative_is_refused_twice():
    with pytest.raises(ValueError, match=r"^an alternative must differ from the default and from the others, got 32$"):
        assumed(64, "not stated", 32, Alternative(32, "a common choice"))


@pytest.mark.parametrize("declare", [partial(known, 64, "script"), partial(assumed, 64)])
def test_alternatives_have_value_and_reason(declare: Callable[..., Any]):
    alternatives = declare("why", 32, Alternative(128, "a common choice")).metadata["justification"].alternatives
    assert [(other.value, other.reason) for other in alternatives] == [(32, ""), (128, "a common choice")]
    with pytest.raises(ValueError, match=r"^the reason for a setting must be a string, got 5$"):
        declare("why", Alternative(32, 5))  # type: ignore[arg-type]


def test_every_combination_is_plausible_by_default():
    assert Kettle(minutes=9, lid=False).is_plausible()


def test_lab_is_abstract_without_data_and_train():
    class Idea(Lab):
        name: ClassVar[str] = "idea"

    with pytest.raises(TypeError, match=r"abstract methods .*data.*train"):
        Idea()  # type: ignore[abstract]


@dataclass(frozen=True, kw_only=True)
class Cup(Kettle):
    """A lab with a required setting, whose stack is a setting."""

    name: ClassVar[str] = "cup"
    units: ClassVar = {"mse": "m²", "loss": "J"}

    handle: int
    size: Any = 1

    def stack(self, device: str) -> int:
        size: int = self.size
        return size


def test_configure_refuses_missing_required_setting():
    with pytest.raises(ValueError, match=r"^cup\.handle has no default: each arm must set it$"):
        Cup.configure("quick", {"liters": 3})
    assert Cup.configure("quick", {"handle": 2}).handle == 2


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "2"])
def test_configure_refuses_stack_that_is_not_positive_number(size: Any):
    with pytest.raises(ValueError, match=rf"^cup\.stack must return a positive whole number, got {size!r}$"):
        Cup.configure("", {"handle": 1, "size": size})


@pytest.mark.parametrize(
    ("name", "unit"),
    [("mse", "m²"), ("test_mse", "m²"), ("val_mse_best", "m²"), ("loss", "J"), ("mseloss", ""), ("accuracy", "")],
)
def test_unit_is_that_of_name_or_of_word_in_name(name: str, unit: str):
    assert Cup.unit(name) == unit


@pytest.mark.parametrize("reason", [None, 7])
def test_setting_is_refused_unless_reason_is_string(reason: Any):
    message = f"^the reason for a setting must be a string, got {reason}$"
    with pytest.raises(ValueError, match=message):
        known(64, "script", reason)
    with pytest.raises(ValueError, match=message):
        assumed(64, reason)


class Undecorated(Kettle):
    name: ClassVar[str] = "undecorated"

    color: str = "red"


@dataclass(frozen=True, kw_only=True)
class Odd(Kettle):
    name: ClassVar[str] = "odd"

    shape: str = assumed("round", "not stated", 1j)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"name": None}, "Other.name must be a string of letters, digits, '-', '_' and '.', the first half of its"),
        ({"name": "a/b"}, "Other.name must be a string of letters, digits, '-', '_' and '.', the first half of its"),
        ({"scales": {"quick": 3}}, 'Other.scales must be settings by scale, such as {"quick": {"epochs": 3}}, got '),
        ({"units": {"mse": 1}}, 'Other.units must be units by name, such as {"mse": "m²"}, got '),
        ({"diverged": ValueError}, "Other.diverged must be a tuple of exception classes, got "),
        ({"diverged": (KeyboardInterrupt,)}, "Other.diverged must be a tuple of exception classes, got "),
    ],
)
def test_lab_class_is_refused_unless_attributes_have_their_type(
    attributes: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
):
    other: Any = type("Other", (Kettle,), {"name": "other", "__module__": __name__, **attributes})
    monkeypatch.setitem(globals(), "Other", other)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        other.validate()


def test_lab_class_is_refused_unless_module_defines_it():
    class Local(Kettle):
        name: ClassVar[str] = "local"

    with pytest.raises(ValueError, match=r"Local must be a class that its module defines under its own name"):
        Local.validate()


def test_lab_class_is_refused_unless_decorated():
    message = (
        r"^Undecorated\.color is not a setting yet: decorate the class with @dataclass\(frozen=True, kw_only=True\)$"
    )
    with pytest.raises(ValueError, match=message):
        Undecorated.validate()


def test_lab_class_is_refused_if_alternative_cannot_be_written():
    with pytest.raises(ValueError, match=r"^Odd\.shape: an alternative: 1j cannot be written and read back; "):
        Odd.validate()


def test_lab_class_is_valid():
    Kettle.validate()
    Cup.validate()
