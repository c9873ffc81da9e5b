"""What results were measured on. Two runs with equal fingerprints give equal numbers."""

import ctypes
import os
import platform
import re
from functools import cache
from pathlib import Path

Fingerprint = dict[str, str | int]

GPUS = "CUDA_VISIBLE_DEVICES"
"""The environment variable that says which GPUs a process may use."""
THREADS = 1
"""Of each process that trains: sums, and so results, depend on how many share them; workers use the other cores."""


@cache
def pin(device: str = "cpu") -> None:
    """Fix what results on a device depend on, in this process, before its first trial there."""
    import torch

    if device != "cpu":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # or else cuBLAS sums in any order
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        pin()
        return

    _keep_memory()
    torch.set_num_threads(THREADS)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")


def fingerprint(device: str, precision: str = "float32") -> Fingerprint:
    """Everything outside labcheck that per-seed values may depend on, but the data.

    Args:
        precision: that of a lab.
    """
    import numpy
    import torch

    pin(device)
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
