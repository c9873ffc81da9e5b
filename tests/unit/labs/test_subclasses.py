"""Subclasses of all labs with a name of their own."""

from dataclasses import dataclass, fields
from typing import Any, ClassVar

import pytest

from labcheck import Arm, Claim, Lab, Metric, Scale, reaches
from labcheck.labs.boston import Boston
from labcheck.labs.cifar import Cifar
from labcheck.labs.curve import Curve
from labcheck.labs.fashion import Fashion
from labcheck.labs.mnist import Mnist
from labcheck.labs.sine import Sine
from labcheck.labs.trig import Trig
from tests.helpers.labs import CIFAR, FASHION, MNIST, of_model


@dataclass(frozen=True, kw_only=True)
class Housing(Boston):
    name: ClassVar[str] = "housing"


@dataclass(frozen=True, kw_only=True)
class Photographs(Cifar):
    name: ClassVar[str] = "photographs"


@dataclass(frozen=True, kw_only=True)
class Polynomial(Curve):
    name: ClassVar[str] = "polynomial"


@dataclass(frozen=True, kw_only=True)
class Clothes(Fashion):
    name: ClassVar[str] = "clothes"


@dataclass(frozen=True, kw_only=True)
class Digits(Mnist):
    name: ClassVar[str] = "digits"


@dataclass(frozen=True, kw_only=True)
class Wave(Sine):
    name: ClassVar[str] = "wave"


@dataclass(frozen=True, kw_only=True)
class Sum(Trig):
    name: ClassVar[str] = "sum"


def settings_of(lab: Lab, **changes: Any) -> dict[str, Any]:
    return {field.name: getattr(lab, field.name) for field in fields(lab)} | changes


SUBCLASSES: dict[type[Lab], tuple[type[Lab], dict[str, Any]]] = {
    Boston: (Housing, {"epochs": 1}),
    Cifar: (Photographs, settings_of(CIFAR, epochs=1)),
    Curve: (Polynomial, {"epochs": 2}),
    Fashion: (Clothes, settings_of(FASHION)),
    Mnist: (Digits, settings_of(MNIST, epochs=1)),
    Sine: (Wave, {"epochs": 1, "samples": 300}),
    Trig: (Sum, {"max_epochs": 1, "samples": 500}),
}
"""By lab: a subclass, and settings with which training is short."""
every_lab = pytest.mark.parametrize("lab", SUBCLASSES, ids=[lab.name for lab in SUBCLASSES])


def test_subclasses_include_all_seven_labs():
    assert {lab.name for lab in SUBCLASSES} == {"boston", "cifar", "curve", "fashion", "mnist", "sine", "trig"}
    assert all(subclass.name != lab.name for lab, (subclass, _) in SUBCLASSES.items())


@pytest.mark.slow
@every_lab
def test_subclass_has_data_and_results_of_lab(lab: type[Lab]):
    subclass, settings = SUBCLASSES[lab]
    assert subclass(**settings).data() == lab(**settings).data()
    assert of_model(subclass(**settings).train([3]), 0) == of_model(lab(**settings).train([3]), 0)


@every_lab
def test_subclass_can_be_lab_of_claim(lab: type[Lab]):
    subclass, settings = SUBCLASSES[lab]
    claim = Claim(
        id=f"{subclass.name}/trains",
        statement="",
        citation="",
        lab=subclass,
        arms={"short": Arm(settings)},
        relations=[reaches("short", 1e9, Metric("final_loss", higher_is_better=False))],
        seeds={"quick": 2},
    )
    claim.validate()
    configured = claim.configure(Scale.QUICK)["short"]
    assert type(configured) is subclass
    assert configured.override({"lr": 0.5}).plain()["lr"] == 0.5
