"""The global state of a process: training has equal results in any state, and restores it."""

import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from labcheck import Data, Lab, Trials
from labcheck.engine import environment, results
from labcheck.labs.boston import Boston
from labcheck.labs.sine import Sine

Enter = Callable[[Any], Any]


@dataclass(frozen=True, kw_only=True)
class UserTrainer(Lab):
    """A user's lab that draws from the global random generators and returns tensors."""

    name: ClassVar[str] = "user"

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


def set_and_restore(set_: Callable[[Any], Any], value: Any, before: Any) -> Enter:
    def enter(stack: ExitStack) -> None:
        stack.callback(set_, before)
        set_(value)

    return enter


def attribute(owner: Any, name: str, value: Any) -> Enter:
    return set_and_restore(lambda value: setattr(owner, name, value), value, getattr(owner, name))


def numpy_errors(stack: ExitStack) -> None:
    stack.callback(lambda before: np.seterr(**before), np.seterr(all="raise"))


def seeded_generators(stack: ExitStack) -> None:
    random.seed(99)
    np.random.seed(99)
    torch.manual_seed(99)


def frozen_flags(stack: ExitStack) -> None:
    """Freeze the flags as helpers of torch's own tests do, which some projects import."""
    flags = torch.backends.disable_global_flags.__globals__  # there is no function that unfreezes them
    stack.callback(flags.update, {name: flag for name, flag in flags.items() if name.endswith("mutation_flag")})
    torch.backends.disable_global_flags()


def several(*enters: Enter) -> Enter:
    return lambda stack: [enter(stack) for enter in enters]


BACKENDS: Any = torch.backends
STATES: dict[str, Enter] = {
    "threads": set_and_restore(torch.set_num_threads, 2, torch.get_num_threads()),
    "dtype": set_and_restore(torch.set_default_dtype, torch.float64, torch.float32),
    "half dtype": set_and_restore(torch.set_default_dtype, torch.bfloat16, torch.float32),
    "meta device": set_and_restore(torch.set_default_device, "meta", None),
    "within a device": lambda stack: stack.enter_context(torch.device("meta")),
    "no oneDNN": attribute(BACKENDS.mkldnn, "enabled", False),
    "no gradients": set_and_restore(torch.set_grad_enabled, False, True),
    "within no_grad": lambda stack: stack.enter_context(torch.no_grad()),
    "inference mode": lambda stack: stack.enter_context(torch.inference_mode()),
    "autocast": lambda stack: stack.enter_context(torch.autocast("cpu", torch.bfloat16)),
    "NumPy errors": numpy_errors,
    "medium precision": set_and_restore(torch.set_float32_matmul_precision, "medium", "highest"),
    "tf32": attribute(BACKENDS, "fp32_precision", "tf32"),
    "oneDNN bf16": attribute(BACKENDS.mkldnn, "fp32_precision", "bf16"),
    "convolution bf16": attribute(BACKENDS.mkldnn.conv, "fp32_precision", "bf16"),
    "cuDNN tf32": attribute(BACKENDS.cudnn, "fp32_precision", "tf32"),
    "deterministic": set_and_restore(torch.use_deterministic_algorithms, True, False),
    "no denormals": set_and_restore(torch.set_flush_denormal, True, False),
    "random generators": seeded_generators,
    "frozen flags": frozen_flags,
}
STATES["all"] = several(
    *(STATES[name] for name in ("threads", "dtype", "meta device", "no oneDNN", "no gradients", "autocast"))
)


@pytest.fixture(params=STATES.values(), ids=list(STATES))
def _changed_state(request: pytest.FixtureRequest) -> Iterator[None]:
    """Change the global state for the duration of a test."""
    with ExitStack() as stack:
        stack.callback(environment._forbid_low_precision)
        request.param(stack)
        yield


def state() -> dict[str, Any]:
    """Return the state that `deterministic` restores."""
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


DETERMINISTIC = {
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
LOW_PRECISIONS = {"tf32", "bf16"}


def precisions() -> set[str]:
    parts = [BACKENDS, *(getattr(BACKENDS, name) for name in ("mkldnn", "cudnn")), BACKENDS.cuda.matmul]
    parts += [getattr(getattr(BACKENDS, name), part) for name in ("mkldnn", "cudnn") for part in ("conv", "rnn")]
    return {part.fp32_precision for part in [*parts, BACKENDS.mkldnn.matmul]}


@pytest.mark.usefixtures("_changed_state")
def test_deterministic_sets_and_restores_state():
    before = state()
    with environment.deterministic("cpu", 3):
        within = state()
        assert not precisions() & LOW_PRECISIONS
        assert torch.get_float32_matmul_precision() == "highest"
        assert not torch.backends.cuda.matmul.allow_tf32
        assert not torch.backends.cudnn.allow_tf32
    assert {name: within[name] for name in DETERMINISTIC} == DETERMINISTIC
    assert state() == before


@pytest.mark.usefixtures("_changed_state")
def test_deterministic_restores_state_if_its_body_raises():
    before = state()
    with pytest.raises(ValueError, match="no"), environment.deterministic("cpu", 3):
        raise ValueError("no")
    assert state() == before


def test_deterministic_restores_state_that_its_body_changes():
    before = state()
    with environment.deterministic("cpu", 3):
        torch.set_num_threads(2)
        torch.set_default_dtype(torch.float64)
        BACKENDS.mkldnn.enabled = False
        torch.set_grad_enabled(False)
        torch.set_flush_denormal(True)
        torch.use_deterministic_algorithms(True)
        np.seterr(all="raise")
        random.seed(1)
        np.random.seed(1)
        torch.manual_seed(1)
    assert state() == before


def test_deterministic_can_be_nested():
    with environment.deterministic("cpu", 3):
        before = state()
        with environment.deterministic("cpu", 4):
            assert state() != before
        assert state() == before


@pytest.mark.usefixtures("_changed_state")
def test_training_has_one_thread_of_blas(monkeypatch: pytest.MonkeyPatch):
    threadpoolctl = pytest.importorskip("threadpoolctl")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)

    def blas() -> list[int]:
        return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]

    with threadpoolctl.threadpool_limits(2):
        assert 2 in blas()
        with environment.single_threaded():
            assert set(blas()) == {1}
            assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
        assert 2 in blas()
    assert "OPENBLAS_NUM_THREADS" not in os.environ


def test_training_needs_no_threadpoolctl(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    with environment.single_threaded():
        assert os.environ["OMP_NUM_THREADS"] == "1"


def test_deterministic_seeds_random_generators():
    def draws(seed: int) -> tuple[float, ...]:
        with environment.deterministic("cpu", seed):
            return random.random(), float(np.random.rand()), float(torch.rand(()))

    assert draws(3) == draws(3)
    assert not {*draws(3)} & {*draws(4)}


LABS: dict[str, Lab] = {
    "user": UserTrainer(),
    "boston": Boston(epochs=2, hidden_layers=2),
    "sine": Sine(samples=200, epochs=2, best_every=1),
}


def trained(lab: Lab) -> Trials:
    return results.train(lab, range(2, 2 + lab.stack("cpu")))


@pytest.fixture(scope="module")
def expected() -> dict[str, Trials]:
    return {name: trained(lab) for name, lab in LABS.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", LABS)
@pytest.mark.usefixtures("_changed_state")
def test_training_has_equal_results_in_any_state(name: str, expected: dict[str, Trials]):
    trials = trained(LABS[name])
    for kind in ("metrics", "curves", "tables"):
        arrays, others = getattr(trials, kind), getattr(expected[name], kind)
        assert arrays.keys() == others.keys()
        for key, array in arrays.items():
            assert np.array_equal(array, others[key], equal_nan=True), key
    assert np.isfinite(next(iter(trials.curves.values()))).all()


def test_training_has_different_results_for_other_seed(expected: dict[str, Trials]):
    assert results.train(LABS["user"], [3]).metrics["test"] != expected["user"].metrics["test"]


@pytest.mark.usefixtures("_changed_state")
def test_fingerprint_is_equal_in_any_state():
    fingerprint = environment.fingerprint("cpu", "float32")
    assert fingerprint.pop("cpu")
    assert fingerprint == {
        "capability": torch.backends.cpu.get_cpu_capability(),
        "device": "cpu",
        "numpy": np.__version__,
        "precision": "float32, matmul highest",
        "threads": 1,
        "torch": torch.__version__,
    }
