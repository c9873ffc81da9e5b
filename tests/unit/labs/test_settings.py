"""Settings of all labs: refused values, and the settings that the reports do not state."""

import re
from typing import Any

import pytest

from labcheck import Lab
from labcheck.core.assumptions import Grade
from labcheck.labs.boston import Boston
from labcheck.labs.cifar import Cifar
from labcheck.labs.curve import Curve
from labcheck.labs.fashion import Fashion
from labcheck.labs.mnist import Mnist
from labcheck.labs.sine import Sine
from labcheck.labs.trig import Trig

LABS: list[type[Lab]] = [Boston, Cifar, Curve, Fashion, Mnist, Sine, Trig]
every_lab = pytest.mark.parametrize("lab", LABS, ids=[lab.name for lab in LABS])


# refused values


@pytest.mark.parametrize(
    ("lab", "setting", "value"),
    [
        (Trig, "activation", "gelu"), (Trig, "init", "ones"), (Trig, "optimizer", "lion"),
        (Trig, "schedule", "cosine"), (Trig, "split", "random"), (Trig, "stream", "torch"),
        (Boston, "activation", "gelu"), (Boston, "optimizer", "lion"), (Boston, "split", "random"),
        (Boston, "validation", "random"), (Boston, "standardize", "none"), (Sine, "sampling", "grid"),
        (Sine, "net", "wide"), (Sine, "activation", "gelu"), (Sine, "optimizer", "lion"),
        (Curve, "activation", "gelu"), (Curve, "optimizer", "lion"),
        (Mnist, "data_source", "web"), (Mnist, "arithmetic", "float16"), (Mnist, "optimizer", "lion"),
        (Mnist, "dropout", "0.5"), (Mnist, "dropout_place", "output"), (Mnist, "variation", "width"),
        (Cifar, "data_source", ""), (Cifar, "arithmetic", "bf16"), (Cifar, "optimizer", "adamw"),
        (Cifar, "normalization", "imagenet"),
        (Fashion, "data_source", "stand-in"), (Fashion, "optimizer", "lion"), (Fashion, "activation", "gelu"),
        (Fashion, "init", "ones"), (Fashion, "engine", "jax"), (Fashion, "loss", "mse"),
    ],
)  # fmt: skip
def test_unknown_choice_is_refused(lab: type[Lab], setting: str, value: str):
    with pytest.raises(ValueError, match=rf"^{lab.name}\.{setting} must be one of .*, got {re.escape(repr(value))}$"):
        lab(**{setting: value})


NAN = float("nan")


@pytest.mark.parametrize(
    ("lab", "minimum", "setting", "value"),
    [
        *((Trig, 0, name, value) for name, value in (("lr", -0.1), ("least_lr", -1e-9), ("patience", -1))),
        (Trig, 2, "batch", 1),
        (Trig, 10, "samples", 9),
        *((Boston, 1, name, 0) for name in ("epochs", "width")),
        (Boston, 0, "momentum", NAN),
        *((Sine, 1, name, 0) for name in ("batch", "epochs", "every", "best_every")),
        *((Sine, 1, name, widths) for name, widths in (("shallow", (0,)), ("deep", (32, 0, 32)))),
        (Sine, 10, "samples", 9),
        *((Sine, 0, name, -1e-4) for name in ("factor", "weight_decay", "lr", "momentum")),
        *((Curve, 1, name, 0) for name in ("epochs", "max_epochs", "samples")),
        *((Curve, 1, "hidden", widths) for widths in ((0,), (32, -1))),
        *((Curve, 0, name, -0.1) for name in ("noise", "lr", "momentum")),
        (Curve, 0, "noise", NAN),
        *((Mnist, 1, name, 0) for name in ("layers", "kernel", "train_size", "val_size", "test_size")),
        *((Mnist, 1, name, 0) for name in ("hidden", "batch", "epochs")),
        *((Mnist, 0, name, -0.1) for name in ("lr", "momentum")),
        *((Mnist, 1, "channels", channels) for channels in ((0, 2), (4, -1))),
        *((Mnist, 0, "dropout_rates", rates) for rates in ((0.5, -0.1, 0.2), (0.1, 0.2, NAN))),
        (Mnist, 1, "kernel", -3),
        *((Cifar, 1, name, 0) for name in ("train_size", "test_size", "batch", "epochs", "drop")),
        *((Cifar, 0, name, -0.1) for name in ("factor", "weight_decay", "lr", "momentum")),
        *((Fashion, 1, name, 0) for name in ("batch", "smallest_batch", "hidden", "epochs")),
        *((Fashion, 0, name, NAN) for name in ("lr", "momentum")),
    ],
)
def test_too_small_number_is_refused(lab: type[Lab], minimum: int, setting: str, value: Any):
    message = rf"^{lab.name}\.{setting} must be at least {minimum}, got {re.escape(repr(value))}$"
    with pytest.raises(ValueError, match=message):
        lab(**{setting: value})


@pytest.mark.parametrize(
    ("lab", "setting", "value"),
    [
        (Curve, "samples", 2.5), (Curve, "noise", "much"), (Curve, "activation", None),
        *((Curve, "hidden", widths) for widths in (10, "32-32", ("a",), (3.5,), (True,))),
        (Sine, "scheduled", 1), (Sine, "lr", True), (Sine, "amsgrad", "yes"),
        (Boston, "epochs", "9"),
        (Trig, "batch", 64.0),
        (Mnist, "kernel", 3.0), (Mnist, "norm", 1), (Mnist, "augmented", "true"), (Mnist, "channels", 16),
        (Mnist, "dropout", 0.5), (Mnist, "data_source", None), (Mnist, "arithmetic", True), (Mnist, "layers", True),
        (Cifar, "dropped", 0), (Cifar, "drop", 2.5), (Cifar, "factor", None),
        (Fashion, "loss", 1), (Fashion, "hidden", "4"), (Fashion, "loader", "no"), (Fashion, "smallest", 1),
    ],
)  # fmt: skip
def test_value_of_wrong_type_is_refused(lab: type[Lab], setting: str, value: Any):
    message = (
        rf"^{lab.name}\.{setting} must be (a number|a whole number|a word|true or false|a tuple of .*), got "
        rf"{re.escape(repr(value))}$"
    )
    with pytest.raises(ValueError, match=message):
        lab(**{setting: value})


@every_lab
def test_unknown_setting_is_refused(lab: type[Lab]):
    with pytest.raises(ValueError, match=rf"^{lab.name} has no setting 'widht'; it has .*optimizer"):
        lab.configure("quick", {"widht": 3})


@pytest.mark.parametrize(
    ("lab", "setting"), [(Curve, "hidden"), (Sine, "shallow"), (Sine, "deep")], ids=["curve", "shallow", "deep"]
)
def test_widths_are_parsed_from_command_line(lab: type[Lab], setting: str):
    assert lab.parse(setting, "32-32") == (32, 32)
    assert lab.parse(setting, "10") == (10,)
    message = rf"^{lab.name}\.{setting} must be a tuple of whole numbers, 32-32 on a command line, got '32,32'$"
    with pytest.raises(ValueError, match=message):
        lab.parse(setting, "32,32")
    with pytest.raises(ValueError, match="must be at least 1"):
        lab(**{setting: lab.parse(setting, "32-0")})


# unstated settings

NUMBERS, SCRIPT, LIKELY, OPEN = Grade.NUMBERS, Grade.SCRIPT, Grade.LIKELY, Grade.OPEN
GRADES: dict[type[Lab], dict[str, Grade]] = {
    Boston: dict.fromkeys(("optimizer", "lr", "width", "batch", "momentum", "split"), NUMBERS)
    | dict.fromkeys(("epochs", "validation"), LIKELY)
    | dict.fromkeys(("patience", "factor", "standardize"), OPEN),
    Cifar: {"arithmetic": OPEN} | dict.fromkeys(("weight_decay", "momentum", "augmented", "normalization"), SCRIPT),
    Curve: dict.fromkeys(("lr", "hidden", "activation", "noise", "samples", "optimizer"), SCRIPT)
    | {"momentum": OPEN, "draw": LIKELY},
    Fashion: {"smallest_batch": OPEN}
    | dict.fromkeys(("activation", "loss", "init", "optimizer", "momentum", "loader"), LIKELY),
    Mnist: dict.fromkeys(
        ("arithmetic", "channels", "hidden", "lr", "batch", "epochs", "momentum", "dropout_rates", "dropout_place"),
        OPEN,
    )
    | {"variation": OPEN},
    Sine: dict.fromkeys(("lr", "optimizer", "weight_decay", "amsgrad", "sampling", "shuffled"), SCRIPT)
    | dict.fromkeys(("shallow", "deep", "every", "factor"), SCRIPT)
    | {"samples": NUMBERS, "momentum": OPEN, "standardized": OPEN, "best_every": LIKELY},
    Trig: dict.fromkeys(("init", "samples", "split", "output_activation", "output_norm", "running"), NUMBERS)
    | dict.fromkeys(("batch", "norm_last", "zero_bias", "least_lr", "patience"), SCRIPT),
}


@every_lab
def test_unstated_settings_have_grades(lab: type[Lab]):
    assert {setting: unstated.grade for setting, unstated in lab.unstated().items()} == GRADES[lab]


@every_lab
def test_reasons_are_phrases_without_final_period(lab: type[Lab]):
    for setting, unstated in lab.unstated().items():
        assert len(unstated.reason) > 15, setting
        assert unstated.reason[0].isupper(), setting
        assert not unstated.reason.endswith("."), setting
