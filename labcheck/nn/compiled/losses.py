"""Losses of one model: means over outputs and examples of a minibatch, each with its gradient.

The gradients in the formulas are those of a term; the mean divides them by the number of terms.
"""

from labcheck.nn.compiled.jit import Array, Real, jit

MSE, HUBER = range(2)
"""The numbers of the losses."""


@jit
def loss(kind: int, delta: Real, p: Array, t: Array, g: Array) -> Real:
    """Return a loss, and compute its gradient with respect to the predictions.

    Args:
        kind: The number of the loss.
        delta: δ of the Huber loss.
        p: The predictions, (out, B).
        t: The targets, (out, B).
        g: Memory for the gradient, (out, B).
    """
    if kind == HUBER:
        return huber(delta, p, t, g)
    return mean_squared_error(p, t, g)


@jit
def mean_squared_error(p: Array, t: Array, g: Array) -> Real:
    """Return the mean of (p − t)², and compute its gradient, 2 (p − t) for each term; shapes are those of `loss`."""
    terms = p.dtype.type(p.size)
    scale = p.dtype.type(2) / terms
    total = p.dtype.type(0)
    for o in range(len(p)):
        for j in range(p.shape[1]):
            r = p[o, j] - t[o, j]
            total += r * r
            g[o, j] = scale * r
    return total / terms


@jit
def huber(delta: Real, p: Array, t: Array, g: Array) -> Real:
    """Return the Huber loss, and compute its gradient (Huber 1964); shapes are those of `loss`.

    With r = p − t, a term is ½ r² where |r| ≤ δ, else δ (|r| − ½ δ). With r clipped to c in [−δ, δ], both are
    c (r − ½ c). The gradient is c.
    """
    terms = p.dtype.type(p.size)
    half, total = p.dtype.type(0.5), p.dtype.type(0)
    for o in range(len(p)):
        for j in range(p.shape[1]):
            r = p[o, j] - t[o, j]
            c = delta if r > delta else r
            c = -delta if c < -delta else c
            total += c * (r - half * c)
            g[o, j] = c / terms
    return total / terms
