"""How kernels are compiled: the options of Numba, and the type of arrays."""

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit  # type: ignore[import-untyped, import-not-found, unused-ignore]
from numpy.typing import NDArray

Array = NDArray[Any]
Real = Any
"""A number of the type of the arrays that a kernel computes with, np.float32 or np.float64."""
Function = TypeVar("Function", bound=Callable[..., Any])

EXACT: Any = {"fastmath": {"contract"}, "error_model": "numpy", "forceinline": True}
"""Options that preserve the order of operations; a product and a sum may become one fused multiply-add.

Such functions become part of the code that calls them; see `jit`.
"""
FAST: Any = {"fastmath": {"reassoc", "contract", "nsz"}, "error_model": "numpy"}
"""Options that also allow to reorder sums, without which no sum is vectorized, and to ignore the sign of 0.

The other options of fastmath are left out: with them, NaN and infinity would be undefined, but they have to survive.
"""


def jit(function: Function) -> Function:
    """Compile a kernel at its first call, or as part of the kernel that calls it.

    It is always inlined there. Otherwise, a process that compiles would call the copy that it has compiled on its own,
    while a process that loads stored code calls the one that is stored with its caller; they round differently.
    """
    compiled: Function = njit(forceinline=True, **FAST)(function)
    return compiled


def cached(function: Function) -> Function:
    """Compile a kernel that is called from Python, and store the result next to its source file."""
    compiled: Function = njit(cache=True, **FAST)(function)
    return compiled
