"""Batch normalization of one model, y = γ x̂ + β with x̂ = (x − mean) / √(var + ε) (Ioffe and Szegedy 2015).

With g = ∂loss/∂y, the gradients are ∂loss/∂γ = Σ g x̂ and ∂loss/∂β = Σ g over the batch, and, with means over the batch,
∂loss/∂x = γ / √(var + ε) · (g − mean(g) − x̂ · mean(g x̂)); see `labcheck.nn.scratch.layers.BatchNorm`.
"""

import numpy as np

from labcheck.nn.compiled.jit import Array, Real, jit


@jit
def statistics(x: Array, mean: Array, var: Array) -> None:
    """Compute the mean and the variance of each feature over the batch.

    Args:
        x: The input, (features, B).
        mean: Memory for the mean, (features,).
        var: Memory for the variance, the mean of (x − mean)², (features,).
    """
    n = x.dtype.type(x.shape[1])
    for f in range(len(x)):
        total = x.dtype.type(0)
        for j in range(x.shape[1]):
            total += x[f, j]
        center = total / n
        squares = x.dtype.type(0)
        for j in range(x.shape[1]):
            squares += (x[f, j] - center) * (x[f, j] - center)
        mean[f], var[f] = center, squares / n


@jit
def update(momentum: Real, running_mean: Array, running_var: Array, mean: Array, var: Array, n: int) -> None:
    """Move running averages towards the statistics of a batch, as torch does.

    Args:
        momentum: The fraction of the distance by which they move.
        running_mean: The running average of the mean, (features,).
        running_var: The running average of the unbiased variance, (features,).
        mean: The mean over the batch, (features,).
        var: The variance over the batch, whose unbiased estimate is n / (n − 1) times as large, (features,).
        n: B, the size of the batch.
    """
    unbiased = mean.dtype.type(n / max(n - 1, 1))
    for f in range(len(mean)):
        running_mean[f] += momentum * (mean[f] - running_mean[f])
        running_var[f] += momentum * (unbiased * var[f] - running_var[f])


@jit
def forward(epsilon: Real, gamma: Array, beta: Array, mean: Array, var: Array, x: Array, y: Array) -> None:
    """Compute y = γ (x − mean) / √(var + ε) + β.

    Args:
        epsilon: ε.
        gamma: The scale γ, (features,).
        beta: The shift β, (features,).
        mean: The mean, (features,).
        var: The variance, (features,).
        x: The input, (features, B).
        y: Memory for the output, (features, B).
    """
    one = x.dtype.type(1)
    for f in range(len(x)):
        center, shift = mean[f], beta[f]
        scale = gamma[f] * (one / np.sqrt(var[f] + epsilon))
        for j in range(x.shape[1]):
            y[f, j] = scale * (x[f, j] - center) + shift


@jit
def backward(
    epsilon: Real, gamma: Array, mean: Array, var: Array, x: Array, g: Array, ggamma: Array, gbeta: Array
) -> None:
    """Compute the gradients with respect to γ, β and the input; see the docstring of this module.

    Args:
        epsilon: ε.
        gamma: The scale γ, (features,).
        mean: The mean of the batch, (features,).
        var: The variance of the batch, (features,).
        x: The input, (features, B).
        g: The gradient ∂loss/∂y, (features, B), which becomes ∂loss/∂x.
        ggamma: Memory for ∂loss/∂γ, (features,).
        gbeta: Memory for ∂loss/∂β, (features,).
    """
    n, one = x.dtype.type(x.shape[1]), x.dtype.type(1)
    for f in range(len(x)):
        center, inverse_std = mean[f], one / np.sqrt(var[f] + epsilon)
        sum_g = sum_gx = x.dtype.type(0)
        for j in range(x.shape[1]):
            sum_g += g[f, j]
            sum_gx += g[f, j] * (x[f, j] - center)
        ggamma[f], gbeta[f] = sum_gx * inverse_std, sum_g
        # x̂ · mean(g x̂) = (x − mean) · slope
        mean_g, slope = sum_g / n, sum_gx / n * inverse_std * inverse_std
        scale = gamma[f] * inverse_std
        for j in range(x.shape[1]):
            g[f, j] = scale * (g[f, j] - mean_g - slope * (x[f, j] - center))
