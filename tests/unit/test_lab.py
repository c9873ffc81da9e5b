"""Settings of a lab: what goes before what, and what is refused."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from labcheck.labs.lab import Data, Lab, Settings, assumed
from labcheck.metrics import Trials


@dataclass(frozen=True, kw_only=True)
class Kettle(Lab):
    name: ClassVar[str] = "kettle"
    scales: ClassVar[Mapping[str, Settings]] = {"quick": {"litres": 1, "watts": 500.0}}

    minutes: int = 3
    litres: int = assumed(2, "not stated; what it holds")
    watts: float = assumed(2000.0, "of most kettles")
    lid: bool = assumed(True, "seldom left off")
    water: str = assumed("tap", "nobody says otherwise")

    def __post_init__(self) -> None:
        self.check("water", (word for word in ("tap", "spring")))

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
    with pytest.raises(ValueError, match=r"^kettle has no setting 'volts'; it has minutes, litres, watts, lid, water$"):
        Kettle.configure("quick", overrides, arm)


def test_a_word_that_is_not_allowed_is_refused_with_those_that_are() -> None:
    with pytest.raises(ValueError, match=r"^kettle\.water is one of tap, spring, not 'sea'$"):
        Kettle.configure("quick", {}, {"water": "sea"})
    assert Kettle.configure("quick", {}, {"water": "spring"}).water == "spring"


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
    ],
)
def test_open_settings_are_read_as_their_type(name: str, text: str, value: Any) -> None:
    read = Kettle.parse(name, text)
    assert read == value
    assert type(read) is type(value)


def test_infinity_is_a_float() -> None:
    assert math.isinf(Kettle.parse("watts", "inf"))


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
    ],
)
def test_what_is_not_of_the_type_of_its_setting_is_refused(name: str, text: str, kind: str) -> None:
    with pytest.raises(ValueError, match=rf"^kettle\.{name} is {kind}, not '{text}'$"):
        Kettle.parse(name, text)


@pytest.mark.parametrize("name", ["minutes", "volts", "name", "scales"])
def test_only_open_settings_are_read(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^kettle has no open setting '{name}'; open are litres, watts, lid, water$"):
        Kettle.parse(name, "1")


def test_assumptions_are_the_open_settings_with_their_values_and_reasons() -> None:
    assert Kettle.configure("quick", {"lid": False}, {"minutes": 7}).assumptions() == {
        "litres": {"value": 1, "why": "not stated; what it holds"},
        "watts": {"value": 500.0, "why": "of most kettles"},
        "lid": {"value": False, "why": "seldom left off"},
        "water": {"value": "tap", "why": "nobody says otherwise"},
    }


def test_a_lab_without_data_or_training_cannot_be_made() -> None:
    class Idea(Lab):
        name: ClassVar[str] = "idea"

    with pytest.raises(TypeError, match=r"abstract methods .*data.*train"):
        Idea()
