"""Training in any global state of a process gives the same values, and leaves that state as it was."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from labcheck.core.lab import Data, Lab
from labcheck.core.trials import Trials
from labcheck.engine import environment, results
from labcheck.labs.boston import Boston
from labcheck.labs.sine import Sine

Enter = Callable[[Any], Any]


@dataclass(frozen=True, kw_only=True)
class UserFunction(Lab):
    """A user's trainer, which draws from the global streams and returns what torch gives it."""

    name: ClassVar[str] = "own"

    def data(self) -> Data:
        return Data("drawn", "0")

    def train(self, seeds: Sequence[int], device: str = "cpu") -> Any:
        (seed,) = seeds
        noise = torch.from_numpy(np.random.normal(size=(8, 1, 6, 6))).float() + random.random()
        net = torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(48, 1))
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
        curve = []
        for _ in range(4):
            loss = (net(noise) - torch.rand(8, 1)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            curve.append(loss)
        small = torch.tensor(1e-30) * 1e-10  # a denormal number
        return {"loss": curve, "test": loss, "small": small, "large": np.exp(np.float64(seed))}


def set_and_undo(put: Callable[[Any], Any], value: Any, before: Any) -> Enter:
    def enter(stack: ExitStack) -> None:
        stack.callback(put, before)
        put(value)

    return enter


def attribute(owner: Any, name: str, value: Any) -> Enter:
    return set_and_undo(lambda value: setattr(owner, name, value), value, getattr(owner, name))


def numpy_errors(stack: ExitStack) -> None:
    stack.callback(lambda before: np.seterr(**before), np.seterr(all="raise"))


def streams(stack: ExitStack) -> None:
    random.seed(99)
    np.random.seed(99)
    torch.manual_seed(99)


def frozen_flags(stack: ExitStack) -> None:
    """As torch's own tests have it, whose helpers some projects import."""
    flags = torch.backends.disable_global_flags.__globals__  # it cannot be undone otherwise
    stack.callback(flags.update, {name: flag for name, flag in flags.items() if name.endswith("mutation_flag")})
    torch.backends.disable_global_flags()


def several(*enters: Enter) -> Enter:
    return lambda stack: [enter(stack) for enter in enters]


BACKENDS: Any = torch.backends
ODD: dict[str, Enter] = {
    "threads": set_and_undo(torch.set_num_threads, 2, torch.get_num_threads()),
    "dtype": set_and_undo(torch.set_default_dtype, torch.float64, torch.float32),
    "half dtype": set_and_undo(torch.set_default_dtype, torch.bfloat16, torch.float32),
    "meta device": set_and_undo(torch.set_default_device, "meta", None),
    "within a device": lambda stack: stack.enter_context(torch.device("meta")),
    "no oneDNN": attribute(BACKENDS.mkldnn, "enabled", False),
    "no gradients": set_and_undo(torch.set_grad_enabled, False, True),
    "within no_grad": lambda stack: stack.enter_context(torch.no_grad()),
    "inference mode": lambda stack: stack.enter_context(torch.inference_mode()),
    "autocast": lambda stack: stack.enter_context(torch.autocast("cpu", torch.bfloat16)),
    "NumPy raises": numpy_errors,
    "medium precision": set_and_undo(torch.set_float32_matmul_precision, "medium", "highest"),
    "tf32": attribute(BACKENDS, "fp32_precision", "tf32"),
    "bf16 of oneDNN": attribute(BACKENDS.mkldnn, "fp32_precision", "bf16"),
    "bf16 of convolutions": attribute(BACKENDS.mkldnn.conv, "fp32_precision", "bf16"),
    "tf32 of cuDNN": attribute(BACKENDS.cudnn, "fp32_precision", "tf32"),
    "deterministic": set_and_undo(torch.use_deterministic_algorithms, True, False),
    "no denormals": set_and_undo(torch.set_flush_denormal, True, False),
    "streams": streams,
    "frozen flags": frozen_flags,
}
ODD["all"] = several(
    *(ODD[name] for name in ("threads", "dtype", "meta device", "no oneDNN", "no gradients", "autocast"))
)


@pytest.fixture(params=ODD.values(), ids=ODD)
def odd(request: pytest.FixtureRequest) -> Iterator[None]:
    """An odd global state, which ends with the test."""
    with ExitStack() as stack:
        stack.callback(environment._forbid_low_precision)
        request.param(stack)
        yield


def state() -> dict[str, Any]:
    """What `pinned` restores."""
    return {
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "oneDNN": torch.backends.mkldnn.enabled,
        "deterministic": torch.get_deterministic_debug_mode(),
        "denormals": (torch.tensor(1e-30, dtype=torch.float32, device="cpu") * 1e-10).item() > 0,
        "gradients": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "NumPy": np.geterr(),
        "random": random.getstate(),
        "numpy.random": [part.tolist() if isinstance(part, np.ndarray) else part for part in np.random.get_state()],
        "torch.random": torch.get_rng_state().tolist(),
    }


PINNED = {
    "threads": 1,
    "dtype": torch.float32,
    "device": torch.device("cpu"),
    "oneDNN": True,
    "deterministic": 0,
    "denormals": True,
    "gradients": True,
    "inference": False,
    "autocast": False,
    "NumPy": {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"},
}
LOW = {"tf32", "bf16"}


def precisions() -> set[str]:
    parts = [BACKENDS, *(getattr(BACKENDS, name) for name in ("mkldnn", "cudnn")), BACKENDS.cuda.matmul]
    parts += [getattr(getattr(BACKENDS, name), part) for name in ("mkldnn", "cudnn") for part in ("conv", "rnn")]
    return {part.fp32_precision for part in [*parts, BACKENDS.mkldnn.matmul]}


@pytest.mark.usefixtures("odd")
def test_pinned_sets_and_restores_the_state():
    before = state()
    with environment.deterministic("cpu", 3):
        within = state()
        assert not precisions() & LOW
        assert torch.get_float32_matmul_precision() == "highest"
        assert not torch.backends.cuda.matmul.allow_tf32
        assert not torch.backends.cudnn.allow_tf32
    assert {name: within[name] for name in PINNED} == PINNED
    assert state() == before


@pytest.mark.usefixtures("odd")
def test_pinned_restores_the_state_when_its_body_raises():
    before = state()
    with pytest.raises(ValueError, match="no"), environment.deterministic("cpu", 3):
        raise ValueError("no")
    assert state() == before


def test_pinned_restores_what_its_body_sets():
    before = state()
    with environment.deterministic("cpu", 3):
        torch.set_num_threads(2)
        torch.set_default_dtype(torch.float64)
        torch.backends.mkldnn.enabled = False
        torch.set_grad_enabled(False)
        torch.set_flush_denormal(True)
        torch.use_deterministic_algorithms(True)
        np.seterr(all="raise")
        random.seed(1)
        np.random.seed(1)
        torch.manual_seed(1)
    assert state() == before


def test_pinned_can_be_nested():
    with environment.deterministic("cpu", 3):
        before = state()
        with environment.deterministic("cpu", 4):
            assert state() != before
        assert state() == before


@pytest.mark.usefixtures("odd")
def test_pinned_starts_the_streams_from_the_seed():
    def draws(seed: int) -> tuple[float, ...]:
        with environment.deterministic("cpu", seed):
            return random.random(), float(np.random.rand()), float(torch.rand(()))

    assert draws(3) == draws(3)
    assert not {*draws(3)} & {*draws(4)}


LABS: dict[str, Lab] = {
    "own": UserFunction(),
    "boston": Boston(epochs=2, hidden_layers=2),
    "sine": Sine(samples=200, epochs=2, best_every=1),
}


def trained(lab: Lab) -> Trials:
    return results.train(lab, range(2, 2 + lab.stack))


@pytest.fixture(scope="module")
def expected() -> dict[str, Trials]:
    return {name: trained(lab) for name, lab in LABS.items()}


@pytest.mark.parametrize("name", LABS)
@pytest.mark.usefixtures("odd")
def test_training_gives_equal_values_in_any_state(name: str, expected: dict[str, Trials]):
    found = trained(LABS[name])
    for kind in ("metrics", "curves", "tables"):
        arrays, others = getattr(found, kind), getattr(expected[name], kind)
        assert arrays.keys() == others.keys()
        for key, array in arrays.items():
            assert np.array_equal(array, others[key], equal_nan=True), key
    assert np.isfinite(next(iter(found.curves.values()))).all()


def test_training_differs_between_seeds(expected: dict[str, Trials]):
    assert results.train(LABS["own"], [3]).metrics["test"] != expected["own"].metrics["test"]


@pytest.mark.usefixtures("odd")
def test_fingerprint_is_equal_in_any_state():
    found = environment.fingerprint("cpu", "float32")
    assert found.pop("cpu")
    assert found == {
        "capability": torch.backends.cpu.get_cpu_capability(),
        "device": "cpu",
        "numpy": np.__version__,
        "precision": "float32, matmul highest",
        "threads": 1,
        "torch": torch.__version__,
    }
