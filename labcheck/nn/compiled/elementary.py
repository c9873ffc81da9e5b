"""The exponential function and its relatives, of one number, in a form that compilers vectorize.

A loop that calls the exponential function of the C library computes one number at a time. The functions here consist of
multiplications, additions and operations on integers only, so that a loop over them computes as many numbers at once as
fit in a register.

The method is that of Cody and Waite (1980, chapter 6). With the integer k that is nearest to x / ln 2,

    eˣ = 2ᵏ eʳ, where r = x − k ln 2 and |r| ≤ ½ ln 2.

- ln 2 is the sum of two constants. The first has so few digits that its product with k is exact, and x minus this
  product too, so that r has nearly all digits even where x is large.
- eʳ is a Taylor polynomial.
- 2ᵏ is made of the bits of a floating-point number, whose exponent is k.

Where this was measured (an AMD EPYC of 2021 with AVX2), a loop over `exp` is 4 times as fast as one over math.exp in
float32 and 3 times in float64; `tanh` is 20 and 11 times as fast as math.tanh.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import types  # type: ignore[import-untyped, import-not-found, unused-ignore]
from numba.extending import overload, register_jitable  # type: ignore[import-untyped, import-not-found, unused-ignore]

from labcheck.nn.compiled.jit import EXACT, Real


def exp(x: Real) -> Real:
    """Return eˣ.

    The relative error is less than twice the precision, the distance from 1 to the next number; so are those of the
    other functions. Denormal results have fewer digits. The result is infinity where it would be too large, 0 where it
    would be too small, and NaN for NaN.
    """
    raise NotImplementedError("exp is for use in kernels")


def expm1(x: Real) -> Real:
    """Return eˣ − 1 for x ≤ 80, without the cancellation that the subtraction has near 0."""
    raise NotImplementedError("expm1 is for use in kernels")


def tanh(x: Real) -> Real:
    """Return the hyperbolic tangent, (e²ˣ − 1) / (e²ˣ + 1)."""
    raise NotImplementedError("tanh is for use in kernels")


def sigmoid(x: Real) -> Real:
    """Return the logistic sigmoid, 1 / (1 + e⁻ˣ)."""
    raise NotImplementedError("sigmoid is for use in kernels")


@dataclass(frozen=True)
class Format:
    """A format of floating-point numbers.

    Attributes:
        real: The type of numbers.
        integer: The type of integers with as many bits.
        digits: The number of bits of a number after those of its exponent.
        bias: The integer that the bits of the exponent of 1 are.
        degree: The degree of a Taylor polynomial of eʳ whose error for |r| ≤ ½ ln 2 is that of rounding.
        lowest: A number whose exponential is rounded to 0.
        highest: A number whose exponential is rounded to infinity.
        ln2: Two numbers whose sum is ln 2; the first has few digits.
    """

    real: Any
    integer: Any
    digits: int
    bias: int
    degree: int
    lowest: float
    highest: float
    ln2: tuple[float, float]


SINGLE = Format(np.float32, np.int32, 23, 127, 7, -104.0, 89.0, (0.693359375, -2.12194440e-4))
DOUBLE = Format(
    np.float64, np.int64, 52, 1023, 13, -746.0, 710.0, (6.93147180369123816490e-1, 1.90821492927058770002e-10)
)


def _implementations(of: Format) -> dict[str, Callable[[Real], Real]]:
    """Return the functions for numbers of a format, by name."""
    real, integer, digits, bias = of.real, of.integer, of.digits, of.bias
    coefficients = tuple(real(1 / math.factorial(i)) for i in range(of.degree, 0, -1))
    lowest, highest, inverse, large, small = (real(x) for x in (of.lowest, of.highest, 1 / math.log(2), *of.ln2))
    # constants of the same type as x, because Numba computes 1 + x in float64 even if x is in float32
    zero, one, two, saturated, bound = (real(x) for x in (0, 1, 2, 22, -80))
    # Numbers of this size have no bits for fractions. Adding it rounds a number to an integer, which is in the last
    # bits of the sum. Unlike a conversion to an integer, this is defined for NaN, too.
    shift = real(1.5 * 2**digits)
    shift_bits = shift.view(integer)

    @register_jitable(**EXACT)
    def power(k: Any) -> Real:
        """Return 2ᵏ, if it is neither too large nor too small for an ordinary number."""
        return integer((k + bias) << digits).view(real)

    @register_jitable(**EXACT)
    def reduce(x: Real) -> tuple[Real, Any]:
        """Return eʳ − 1, and the integer k."""
        shifted = x * inverse + shift
        k = shifted - shift
        r = (x - k * large) - k * small
        series = zero
        for coefficient in coefficients:
            series = series * r + coefficient
        return series * r, integer(real(shifted).view(integer) - shift_bits)

    @register_jitable(**EXACT)
    def exp(x: Real) -> Real:
        # two comparisons, each of which is false for NaN, so that it remains
        x = lowest if x < lowest else x
        x = highest if x > highest else x
        p, k = reduce(x)
        half = k >> 1  # 2ᵏ may be too large or too small where eˣ is not
        return (p + one) * power(half) * power(k - half)

    @register_jitable(**EXACT)
    def expm1(x: Real) -> Real:
        x = bound if x < bound else x  # from here on, the result is rounded to −1
        p, k = reduce(x)
        scale = power(k)
        return p * scale + (scale - one)

    def tanh(x: Real) -> Real:
        x = saturated if x > saturated else x  # from here on, the result is rounded to 1
        e = expm1(two * x)
        return e / (e + two)

    def sigmoid(x: Real) -> Real:
        return one / (one + exp(-x))

    return {"exp": exp, "expm1": expm1, "tanh": tanh, "sigmoid": sigmoid}


_KERNELS = {types.float32: _implementations(SINGLE), types.float64: _implementations(DOUBLE)}


def _register(function: Callable[[Real], Real]) -> None:
    """Make Numba compile the implementation of a function for the type of its argument."""

    @overload(function, jit_options=EXACT)
    def implementation(x: Any) -> Callable[[Real], Real] | None:
        return _KERNELS[x][function.__name__] if x in _KERNELS else None


for _function in (exp, expm1, tanh, sigmoid):
    _register(_function)
