"""Functions as labs: their settings, what they receive, and which functions are refused."""

import dataclasses
import functools
import sys
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pytest

from labcheck import Arm, Claim, Data, assumed, beats, error, known, lab, score
from labcheck.core.claims import ClaimError


@lab("oven", data="dough", scales={"quick": {"minutes": 3}}, units={"mass": "kg"}, diverged=ZeroDivisionError)
def bake(
    seed: int,
    heat: float = assumed(200.0, "not stated", 180.0, 220.0),
    *,
    minutes: int,
    tins: list[int] = [1, 2],  # noqa: B006 - as users write it
    fan: bool = known(True, "script", "read there"),
    sugar: float = None,  # type: ignore[assignment]  # noqa: RUF013 - as users write it
) -> dict[str, Any]:
    """Bake a cake."""
    return {"seed": seed, "heat": heat, "minutes": minutes, "tins": tins, "fan": fan, "sugar": sugar}


MADE: Any = bake.lab


@dataclasses.dataclass(frozen=True)
class Recipe:
    flour: float = 1.0
    spices: Any = None


@lab("pan", stack=3)
def fry(seeds: list[int], *, recipe: Recipe = Recipe(), device: str = "cpu", butter: Any = "salted") -> Any:
    return seeds, recipe, device, butter


def claim(**parts: Any) -> Claim:
    arms = {"hot": Arm({"heat": 250, "minutes": 3}), "cold": Arm({"minutes": 3})}
    parts = {"lab": bake, "arms": arms, "relations": [beats("hot", "cold", error("mass"))], **parts}
    return Claim(statement="Hot is better.", **parts)


# settings


def test_parameters_are_settings_with_their_defaults():
    made = MADE.configure("full", {"minutes": 9})
    assert made.plain() == {"heat": 200.0, "minutes": 9, "tins": [1, 2], "fan": True, "sugar": None}
    assert MADE.configure("quick", {}).minutes == 3
    assert MADE.required_settings() == ["minutes"]


def test_declared_defaults_are_unstated_settings():
    unstated = MADE.unstated()
    assert {name: one.grade for name, one in unstated.items()} == {"heat": "open", "fan": "script"}
    assert [other.value for other in unstated["heat"].alternatives] == [180.0, 220.0]


def test_function_receives_seed_and_settings():
    assert MADE.configure("full", {"minutes": 9, "heat": 1}).train([7]) == {
        "seed": 7, "heat": 1, "minutes": 9, "tins": (1, 2), "fan": True, "sugar": None,
    }  # fmt: skip


def test_function_can_be_called_as_before():
    result = bake(7, minutes=4)
    assert result == {"seed": 7, "heat": 200.0, "minutes": 4, "tins": [1, 2], "fan": True, "sugar": None}
    assert bake.__doc__ == "Bake a cake."
    assert isinstance(bake, FunctionType)


def test_function_with_stack_receives_list_of_seeds_and_device():
    made: Any = fry.lab
    assert made().stack("cpu") == 3
    assert made().train(range(3), "cuda:1") == ([0, 1, 2], Recipe(), "cuda:1", "salted")


@pytest.mark.parametrize(
    "value", [{"a": {"b": (1, 2)}}, Path("a/b"), np.float64(0.1), Recipe(2.0, "pepper"), [0.1, 0.2], None]
)
def test_setting_may_be(value: Any):
    made = fry.lab.configure("quick", {"butter": value})
    made.plain()
    assert made.train([0, 1, 2])[3] == (tuple(value) if isinstance(value, list) else value)


def test_value_of_other_type_than_annotated_is_refused():
    with pytest.raises(ClaimError, match=r"oven/c: arm 'hot': oven\.heat must be a number, got 'high'"):
        claim(id="oven/c", arms={"hot": Arm({"heat": "high", "minutes": 1})}).configure("quick")  # type: ignore[arg-type]


def test_attributes_are_those_of_lab():
    assert (MADE.name, MADE.unit("mass"), MADE.diverged) == ("oven", "kg", (ZeroDivisionError,))
    assert MADE.configure("quick", {}).data() == Data("dough", "dough")
    assert MADE.__doc__ == "Bake a cake."
    assert fry.lab().data().name == "generated"


# claims


def test_claim_may_have_function_as_lab():
    made = claim(id="oven/c")
    made.validate()
    assert made.lab is MADE


@pytest.mark.parametrize(
    ("module", "variable", "expected"),
    [
        ("test_heat", "claim", "oven/heat"),
        ("test_dry_heat", "claim", "oven/dry-heat"),
        ("tests.oven.test_heat", "claim", "oven/heat"),
        ("test_heat", "hot_is_better", "oven/hot-is-better"),
    ],
)
def test_id_is_derived_from_module_or_variable(module: str, variable: str, expected: str):
    assert claim().named(module, variable).id == expected
    assert claim(id="oven/mine").named(module, variable).id == "oven/mine"


# functions that are refused


def without_seed() -> None: ...


def only_named(*, seed: int) -> None: ...


def with_setting_first(lr: float = 0.1) -> None: ...


def with_seed_second(lr: float, seed: int) -> None: ...


def with_random_state_last(lr: float, *, random_state: int = 0) -> None: ...


def with_rest(seed: int, **settings: Any) -> None: ...


def with_list(seed: int, *widths: int) -> None: ...


def with_data(seed: int, *, data: str = "x") -> None: ...


def with_private(seed: int, *, _x: int = 0) -> None: ...


def with_array(seed: int, *, rates: Any = np.ones(2)) -> None: ...  # noqa: B008 - as users write it


def with_device_first(device: str, seed: int) -> None: ...


@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        (without_seed, TypeError, "without_seed must have the seed as its first parameter"),
        (only_named, TypeError, "only_named must have the seed as its first parameter"),
        (with_device_first, TypeError, "with_device_first must have the seed as its first parameter"),
        (
            with_setting_first,
            TypeError,
            r"with_setting_first must have the seed as its first parameter, such as def train\(seed, \*, lr=0.1\), got "
            r"def with_setting_first\(lr\)$",
        ),
        (with_seed_second, TypeError, r"must have the seed as its first parameter, .* got def .*\(lr, seed\)"),
        (with_random_state_last, TypeError, r"must have the seed as its first parameter, .*\(lr, random_state\)"),
        (with_rest, TypeError, r"with_rest must name each setting, got the parameter \*\*settings"),
        (with_list, TypeError, r"with_list must name each setting, got the parameter \*widths"),
        (with_data, ValueError, "with_data: a setting must not have the name 'data', which labs use; rename"),
        (with_private, ValueError, "with_private: a setting must not have the name '_x'"),
        (with_array, ValueError, "with_array: the default of 'rates': .* use a tuple of numbers"),
        (Recipe, TypeError, r"@lab\('x'\) must decorate a function, got <class"),
        (functools.partial(bake, heat=1), TypeError, r"@lab\('x'\) must decorate a function, got partial"),
    ],
)
def test_function_is_refused_in_one_line(function: Any, kind: type[Exception], message: str):
    with pytest.raises(kind, match=message) as caught:
        lab("x")(function)
    assert "\n" not in str(caught.value)


def with_default_seed(seed: int = 0, *, random_state: int = 1) -> None: ...


def test_seed_may_have_default():
    made: Any = lab("x")(with_default_seed)
    assert made.lab().plain() == {"random_state": 1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": 3}, r"@lab\('x'\): data must be the name of the data, a string, got 3"),
        ({"diverged": "ValueError"}, r"@lab\('x'\): diverged must be an exception class, .* got 'ValueError'"),
        ({"diverged": (ValueError, KeyboardInterrupt)}, r"several in a tuple, got <class 'KeyboardInterrupt'>"),
    ],
)
def test_option_of_decorator_is_refused_in_one_line(options: dict[str, Any], message: str):
    with pytest.raises(TypeError, match=message):
        lab("x", **options)


def test_decorator_without_parentheses_is_refused():
    with pytest.raises(TypeError, match=r'@lab needs a name and parentheses, such as @lab\("digits"\), got'):
        lab(without_seed)  # type: ignore[arg-type]


def test_function_that_module_does_not_define_is_refused():
    @lab("x")
    def local(seed: int) -> Any: ...

    with pytest.raises(ClaimError, match=r"x/c: .*local.* which identifies it"):
        claim(id="x/c", lab=local).validate()


def test_undecorated_function_is_refused_with_remedy():
    with pytest.raises(
        ClaimError, match=r'decorated with @lab\(name\), such as @lab\("digits"\), .* got the function w'
    ):
        claim(id="x/c", lab=without_seed).validate()


# metrics


def test_error_and_score_have_directions():
    assert not error("mse").higher_is_better
    assert error("mse").ratio
    assert not error("gap", ratio=False).ratio
    assert score("accuracy").higher_is_better
    assert not score("accuracy").ratio


def test_core_does_not_import_torch(pytester: pytest.Pytester):
    code = "import sys, labcheck\nlabcheck.lab, labcheck.Claim, labcheck.beats\nassert 'torch' not in sys.modules"
    assert pytester.run(sys.executable, "-c", code).ret == 0
