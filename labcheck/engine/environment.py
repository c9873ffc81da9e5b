"""The environment of results: its fingerprint, and the state that training depends on."""

import ctypes
import importlib.util
import os
import platform
import random
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy

Fingerprint = dict[str, str | int]
"""A description of an environment. Equal fingerprints give equal results."""

VISIBLE_GPUS = "CUDA_VISIBLE_DEVICES"
"""The environment variable that lists the GPUs that a process may use."""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
"""The environment variables from which libraries read their number of threads when they are loaded."""
THREADS = 1
"""The number of threads of each process that trains, on which the rounding of sums depends."""


@contextmanager
def deterministic(device: str = "cpu", seed: int = 0) -> Iterator[None]:
    """Set all global state on which results depend, and restore it afterwards.

    It includes the global random generators of Python and NumPy, which are seeded, and NumPy's handling of
    floating-point errors. If this process has imported torch, it also includes torch's random generators, threads,
    precision, default dtype and device, oneDNN, deterministic algorithms, denormal numbers, gradients and autocast. A
    conftest or another test may have changed any of them.

    Args:
        device: The device on which to train.
        seed: The seed of the global random generators.
    """
    with ExitStack() as stack:
        stack.enter_context(numpy.errstate(all="warn", under="ignore"))
        stack.enter_context(_seeded_generators(seed))
        if has_imported_torch():
            stack.enter_context(_deterministic_torch(device, seed))
        yield


def has_imported_torch() -> bool:
    """Return whether this process has imported torch, whose state then has to be set."""
    return sys.modules.get("torch") is not None


def has_torch() -> bool:
    """Return whether torch is imported or installed."""
    return has_imported_torch() or importlib.util.find_spec("torch") is not None


@contextmanager
def _deterministic_torch(device: str, seed: int) -> Iterator[None]:
    """Set the state of torch on which results depend, and restore it afterwards."""
    import torch

    _prepare(device)
    with ExitStack() as stack:
        stack.callback(_release_memory)
        stack.enter_context(torch.backends.__allow_nonbracketed_mutation())  # after torch.backends.disable_global_flags
        _forbid_low_precision()
        if device != "cpu":
            torch.backends.cudnn.benchmark = False
        states: list[tuple[Callable[[], Any], Callable[[Any], object], Any]] = [
            (torch.get_num_threads, torch.set_num_threads, THREADS),
            (torch.get_default_dtype, torch.set_default_dtype, torch.float32),
            (
                torch.get_deterministic_debug_mode,
                torch.set_deterministic_debug_mode,
                "default" if device == "cpu" else "warn",
            ),
            (_onednn, _set_onednn, True),
            (_flushes_denormals, torch.set_flush_denormal, False),
        ]
        for get, set_, value in states:
            stack.callback(set_, get())
            set_(value)
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        gpus = torch.cuda.device_count() if torch.cuda.is_initialized() else 0  # type: ignore[no-untyped-call]
        stack.enter_context(torch.random.fork_rng(range(gpus)))
        torch.manual_seed(seed)
        yield


def _forbid_low_precision() -> None:
    """Forbid TF32 and bfloat16 in the arithmetic of float32.

    This is not restored: torch has two interfaces for it, both of which are needed, and once they are mixed it refuses
    to return the current values.
    """
    import torch

    mkldnn, cudnn = torch.backends.mkldnn, torch.backends.cudnn
    parts: list[Any] = [torch.backends, mkldnn, mkldnn.conv, mkldnn.rnn, cudnn]  # type: ignore[attr-defined]
    for part in parts:
        part.fp32_precision = "none"
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_tf32 = False
    cudnn.allow_tf32 = False


@contextmanager
def single_threaded() -> Iterator[None]:
    """Limit the threads of BLAS and OpenMP, on which the rounding of sums depends, and restore them afterwards.

    Libraries that are loaded within the context read the environment, once. Those that are loaded already are limited
    by threadpoolctl, which comes with scikit-learn, if it is installed.
    """
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(THREADS)))
    try:
        with _thread_pools(len(sys.modules)).limit(limits=THREADS):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@lru_cache(maxsize=1)
def _thread_pools(modules: int) -> Any:
    """Return what limits the thread pools of loaded libraries, which are looked up again after an import.

    Args:
        modules: The number of imported modules.
    """
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return _NoThreadPools()
    return ThreadpoolController()


class _NoThreadPools:
    """A replacement for threadpoolctl where it is not installed."""

    def limit(self, *, limits: int) -> AbstractContextManager[None]:
        """Return a context that limits nothing."""
        return nullcontext()


@contextmanager
def _seeded_generators(seed: int) -> Iterator[None]:
    """Seed the global random generators of Python and NumPy, and restore them afterwards."""
    states = random.getstate(), numpy.random.get_state()
    random.seed(seed)
    numpy.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        numpy.random.set_state(states[1])


def _onednn() -> bool:
    import torch

    return bool(torch.backends.mkldnn.enabled)


def _set_onednn(enabled: bool) -> None:
    import torch

    torch.backends.mkldnn.enabled = enabled  # type: ignore[assignment]


def _flushes_denormals() -> bool:
    import torch

    return not torch.tensor(1e-40, dtype=torch.float32, device="cpu").mul(1)


@cache
def _prepare(device: str) -> None:
    """Set, once in a process, what must be set before the first training on a device."""
    import torch

    if device == "cpu":
        _keep_memory()
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # otherwise cuBLAS sums in any order
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    _prepare("cpu")


def fingerprint(device: str, precision: str = "float32", *, uses_torch: bool = True) -> Fingerprint:
    """Return the environment on which per-seed values depend, without the data and a lab's own packages.

    Args:
        device: The device on which to train.
        precision: The description that a lab gives of its arithmetic.
        uses_torch: Whether results may depend on torch, which is then imported.
    """
    if not uses_torch:
        return {"cpu": _cpu(), "device": device, "numpy": str(numpy.__version__), "precision": precision}
    import torch

    with deterministic(device):
        return {
            "capability": torch.backends.cpu.get_cpu_capability(),
            "cpu": _cpu(),
            "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else "cpu",
            "numpy": str(numpy.__version__),
            "precision": f"{precision}, matmul {torch.get_float32_matmul_precision()}",
            "threads": torch.get_num_threads(),
            "torch": str(torch.__version__),
        }


def _keep_memory() -> None:
    """Make glibc, where it is the C library, reuse freed memory instead of returning it to the system.

    Each training step needs the same amount again, and every new page would cost a page fault.
    """
    if (libc := _glibc()) is None:
        return
    trim_threshold, mmap_threshold = -1, -3  # from malloc.h
    libc.mallopt(trim_threshold, 1 << 30)
    if not libc.mallopt(mmap_threshold, 1 << 30):
        libc.mallopt(mmap_threshold, 32 << 20)  # the largest value that older versions accept


def _release_memory() -> None:
    """Return the memory that a training has freed to the system; otherwise a worker needs that of all its trainings."""
    if (libc := _glibc()) is not None:
        libc.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    """Return the C library if it is glibc."""
    try:
        return ctypes.CDLL("libc.so.6")
    except OSError:
        return None


def multiplies_bfloat16(device: str) -> bool:
    """Return whether a device has instructions for bfloat16 products, which are then faster than float32."""
    import torch

    if device != "cpu":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def has_device(device: str) -> bool:
    """Return whether torch can use a device, "cpu", "cuda" or "cuda:<i>"."""
    if device == "cpu":
        return True
    if not has_torch():
        return False
    import torch

    return int(device.partition(":")[2] or 0) < torch.cuda.device_count()


def assign_gpu(worker: int) -> str:
    """Return the GPU for a worker, as CUDA_VISIBLE_DEVICES names it. If there are more workers than GPUs, they share.

    Args:
        worker: The number of the worker, counted from 0.

    Raises:
        RuntimeError: CUDA is already initialized in this process, so that the variable has no effect.
    """
    import torch

    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        raise RuntimeError(
            "CUDA was initialized before labcheck assigned a GPU; no conftest.py or test module may initialize it"
        )
    names = [str(index) for index in range(torch.cuda.device_count())]
    if VISIBLE_GPUS in os.environ:
        names = os.environ[VISIBLE_GPUS].split(",")[: len(names)]
    return names[worker % len(names)].strip()


@cache
def _cpu() -> str:
    """Return the name of the processor, with family and model on Linux, since processors with one name may differ."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return f"{platform.processor() or platform.machine()} ({platform.system()})"
    info = dict(re.findall(r"^(cpu family|model|model name)\s*: (.*)$", text, re.MULTILINE))
    return f"{info.get('model name', platform.machine())} {info.get('cpu family', '')}-{info.get('model', '')}"
