"""What results were measured on. Two runs with equal fingerprints give equal numbers."""

import ctypes
import os
import platform
import random
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy

Fingerprint = dict[str, str | int]

GPUS = "CUDA_VISIBLE_DEVICES"
"""The environment variable that says which GPUs a process may use."""
THREADS = 1
"""Of each process that trains: sums, and so results, depend on how many share them; workers use the other cores."""


@contextmanager
def pinned(device: str = "cpu", seed: int = 0) -> Iterator[None]:
    """Fix what results on a device depend on, whatever a conftest or another test has set, and restore that after.

    That is: threads, precision, default dtype and device, oneDNN, deterministic algorithms, denormal numbers,
    gradients, autocast, NumPy's handling of floating point errors, and the global random streams of Python, NumPy and
    torch, which start from the seed.
    """
    import torch

    _prepare(device)
    with ExitStack() as stack:
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
        for get, put, value in states:
            stack.callback(put, get())
            put(value)
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(numpy.errstate(all="warn", under="ignore"))
        stack.enter_context(_streams(seed))
        yield


def _forbid_low_precision() -> None:
    """Compute with float32 in float32, never TF32 or bfloat16 by accident.

    Not restored: torch does not let all of this be read once its two interfaces, of which both are needed, are mixed.
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
def _streams(seed: int) -> Iterator[None]:
    """Start the global random streams from a seed, for trainers that draw from them, and restore them."""
    import torch

    states = random.getstate(), numpy.random.get_state()
    gpus = torch.cuda.device_count() if torch.cuda.is_initialized() else 0  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(range(gpus)):
        random.seed(seed)
        numpy.random.seed(seed)
        torch.manual_seed(seed)
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
    """Set, once in a process, what has to be set before its first trial on a device."""
    import torch

    if device == "cpu":
        _keep_memory()
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # or else cuBLAS sums in any order
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    _prepare("cpu")


def fingerprint(device: str, precision: str = "float32") -> Fingerprint:
    """Return everything outside labcheck that per-seed values may depend on, but the data and a lab's own packages.

    Args:
        precision: that of a lab.
    """
    import torch

    with pinned(device):
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
    """Have glibc, where it is the C library, keep memory that is freed: the next training step needs as much again.

    Given back to the system, every page of it would cost a fault.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:
        return
    trim_threshold, mmap_threshold = -1, -3  # of malloc.h
    libc.mallopt(trim_threshold, 1 << 30)
    if not libc.mallopt(mmap_threshold, 1 << 30):
        libc.mallopt(mmap_threshold, 32 << 20)  # the most that older ones take


def multiplies_bfloat16(device: str) -> bool:
    """Whether processor or GPU has instructions for products of bfloat16 numbers, which are then the faster ones."""
    import torch

    if device != "cpu":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def has_device(device: str) -> bool:
    """Whether torch can use it: "cpu", "cuda" or "cuda:<i>"."""
    if device == "cpu":
        return True
    import torch

    return int(device.partition(":")[2] or 0) < torch.cuda.device_count()


def gpu(worker: int) -> str:
    """Which of the GPUs that this process may use a worker of this number gets, as CUDA_VISIBLE_DEVICES names it.

    With more workers than GPUs, several share one.

    Raises:
        RuntimeError: CUDA has started in this process, and would take no notice.
    """
    import torch

    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        raise RuntimeError("CUDA started before labcheck chose a GPU: let no conftest.py or test module start it")
    names = [str(index) for index in range(torch.cuda.device_count())]
    if GPUS in os.environ:
        names = os.environ[GPUS].split(",")[: len(names)]
    return names[worker % len(names)].strip()


@cache
def _cpu() -> str:
    """The processor's name, with family and model where Linux tells them: one name is sold for several."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return f"{platform.processor() or platform.machine()} ({platform.system()})"
    found = dict(re.findall(r"^(cpu family|model|model name)\s*: (.*)$", text, re.MULTILINE))
    return f"{found.get('model name', platform.machine())} {found.get('cpu family', '')}-{found.get('model', '')}"
