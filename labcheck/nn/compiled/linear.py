"""The fully connected layer of one model, y = W x + b.

With g = ∂loss/∂y, the chain rule gives ∂loss/∂W = g xᵀ, ∂loss/∂b = Σ g over the batch, and ∂loss/∂x = Wᵀ g.

The numbers of a feature, a row of length B, are adjacent in memory, so that innermost loops over the batch are
vectorized. All three products compute several sums at once: this saves most loads and stores, which would take longer
than the arithmetic.
"""

from labcheck.nn.compiled.jit import Array, jit
from labcheck.nn.compiled.tiles import VECTOR, add_tile_2_1, add_tile_2_2, add_tile_4_1, add_tile_4_2


@jit
def forward(w: Array, b: Array, x: Array, y: Array) -> None:
    """Compute y = W x + b.

    Args:
        w: The weights W, (out, in).
        b: The bias, (out,), or (0,) for none.
        x: The input, (in, B).
        y: Memory for the output, (out, B).
    """
    for o in range(len(y)):
        bias = b[o] if len(b) else w.dtype.type(0)
        for j in range(y.shape[1]):
            y[o, j] = bias
    _add_product(w, x, y)


@jit
def backward(w: Array, x: Array, g: Array, gw: Array, gb: Array, gx: Array) -> None:
    """Compute ∂loss/∂W = g xᵀ, ∂loss/∂b = Σ g, and ∂loss/∂x = Wᵀ g.

    Args:
        w: The weights W, (out, in).
        x: The input, (in, B).
        g: The gradient ∂loss/∂y, (out, B).
        gw: Memory for ∂loss/∂W, (out, in).
        gb: Memory for ∂loss/∂b, (out,), or (0,) if there is no bias.
        gx: Memory for ∂loss/∂x, (in, B), or (0, B) for the first layer, for whose input no gradient is needed.
    """
    _outer_product(g, x, gw)
    for o in range(len(gb)):
        total = g.dtype.type(0)
        for j in range(g.shape[1]):
            total += g[o, j]
        gb[o] = total
    if len(gx):
        gx[:] = 0
        _add_product(w.T, g, gx)


@jit
def _add_product(a: Array, x: Array, y: Array) -> None:
    """Compute y ← y + A x, for A (m, n), x (n, B) and y (m, B).

    Tiles take 0.4 to 0.8 of the time of loops. Those for the same columns of x follow each other, while these are in
    the cache.
    """
    m, columns = y.shape
    fours, pairs = m - m % 4, m - m % 2
    lanes = VECTOR // y.itemsize
    wide, tiled = columns - columns % (2 * lanes), columns - columns % lanes
    for j in range(0, wide, 2 * lanes):
        for o in range(0, fours, 4):
            add_tile_4_2(a, x, y, o, j)
        if pairs > fours:
            add_tile_2_2(a, x, y, fours, j)
    if tiled > wide:
        for o in range(0, fours, 4):
            add_tile_4_1(a, x, y, o, wide)
        if pairs > fours:
            add_tile_2_1(a, x, y, fours, wide)
    _add_rest(a, x, y, 0, pairs, tiled)
    _add_rest(a, x, y, pairs, m, 0)


@jit
def _add_rest(a: Array, x: Array, y: Array, first: int, last: int, column: int) -> None:
    """Do the same as `_add_product` for the rows from `first` until before `last` only, from a column on."""
    n = len(x)
    fours = n - n % 4
    for o in range(first, last):
        yo = y[o]
        # four terms of the sum at once, which halves the time of one at a time
        for i in range(0, fours, 4):
            a0, a1, a2, a3 = a[o, i], a[o, i + 1], a[o, i + 2], a[o, i + 3]
            x0, x1, x2, x3 = x[i], x[i + 1], x[i + 2], x[i + 3]
            for j in range(column, len(yo)):
                yo[j] += a0 * x0[j] + a1 * x1[j] + a2 * x2[j] + a3 * x3[j]
        for i in range(fours, n):
            a0, x0 = a[o, i], x[i]
            for j in range(column, len(yo)):
                yo[j] += a0 * x0[j]


@jit
def _outer_product(g: Array, x: Array, gw: Array) -> None:
    """Compute ∂loss/∂W = g xᵀ, for g (out, B), x (in, B) and ∂loss/∂W (out, in)."""
    outputs, inputs = gw.shape
    pairs, fours = outputs - outputs % 2, inputs - inputs % 4
    zero = g.dtype.type(0)
    # eight sums at once, which need six loads for eight products; this takes half to 0.9 of the time of four sums
    for o in range(0, pairs, 2):
        g0, g1 = g[o], g[o + 1]
        for i in range(0, fours, 4):
            x0, x1, x2, x3 = x[i], x[i + 1], x[i + 2], x[i + 3]
            s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = zero
            for j in range(len(g0)):
                s00 += g0[j] * x0[j]
                s01 += g0[j] * x1[j]
                s02 += g0[j] * x2[j]
                s03 += g0[j] * x3[j]
                s10 += g1[j] * x0[j]
                s11 += g1[j] * x1[j]
                s12 += g1[j] * x2[j]
                s13 += g1[j] * x3[j]
            gw[o, i], gw[o, i + 1], gw[o, i + 2], gw[o, i + 3] = s00, s01, s02, s03
            gw[o + 1, i], gw[o + 1, i + 1], gw[o + 1, i + 2], gw[o + 1, i + 3] = s10, s11, s12, s13
        for i in range(fours, inputs):
            x0 = x[i]
            s00 = s10 = zero
            for j in range(len(g0)):
                s00 += g0[j] * x0[j]
                s10 += g1[j] * x0[j]
            gw[o, i], gw[o + 1, i] = s00, s10
    for o in range(pairs, outputs):
        g0 = g[o]
        for i in range(inputs):
            x0 = x[i]
            s00 = zero
            for j in range(len(g0)):
                s00 += g0[j] * x0[j]
            gw[o, i] = s00
