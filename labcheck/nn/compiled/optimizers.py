"""Optimizers of one model, equal step by step to those in `labcheck.nn.scratch.optimizers`.

Parameters w, their gradients g and the state of an optimizer are vectors, (P,); the formulas are those of a parameter.
"""

from typing import NamedTuple

import numpy as np

from labcheck.nn.compiled.jit import Array, Real, jit

SGD, ADAGRAD, RMSPROP, ADAM = range(4)
"""The numbers of the optimizers."""
TINY = 1e-30
"""A number that is added to squares, since processors need long for the root of 0 or of a denormal number."""


class Rule(NamedTuple):
    """An optimizer and its settings; those that it does not have are 0.

    Attributes:
        kind: The number of the optimizer.
        weight_decay: The multiple of the weights that is added to the gradient.
        momentum: The momentum of SGD.
        nesterov: Whether SGD uses Nesterov's momentum.
        alpha: α of RMSprop.
        beta1: β₁ of Adam.
        beta2: β₂ of Adam.
        epsilon: ε of AdaGrad, RMSprop and Adam.
        amsgrad: Whether Adam uses the largest s so far.
    """

    kind: int
    weight_decay: float = 0.0
    momentum: float = 0.0
    nesterov: bool = False
    alpha: float = 0.0
    beta1: float = 0.0
    beta2: float = 0.0
    epsilon: float = 0.0
    amsgrad: bool = False


@jit
def step(rule: Rule, steps: int, lr: float, w: Array, g: Array, first: Array, second: Array, third: Array) -> None:
    """Update the parameters.

    Args:
        rule: The optimizer.
        steps: The number of this step, from 1.
        lr: The learning rate.
        w: The parameters.
        g: Their gradients, to which the weight decay is added.
        first: The velocity v of SGD, the squares s of AdaGrad and RMSprop, or the mean m of Adam.
        second: The squares s of Adam.
        third: The largest squares of Adam. All memory that an optimizer does not need is empty.
    """
    if rule.weight_decay:
        decay(w.dtype.type(rule.weight_decay), w, g)
    if rule.kind == SGD:
        if len(first):
            momentum(w.dtype.type(lr), w.dtype.type(rule.momentum), rule.nesterov, w, g, first)
        else:
            sgd(w.dtype.type(lr), w, g)
    elif rule.kind == ADAM:
        adam(rule, steps, lr, w, g, first, second, third)
    else:
        if rule.kind == ADAGRAD:
            add_squares(g, first)
        else:
            average_squares(w.dtype.type(rule.alpha), w.dtype.type(1 - rule.alpha), g, first)
        scaled(w.dtype.type(lr), w.dtype.type(rule.epsilon), w, g, first)


@jit
def decay(weight_decay: Real, w: Array, g: Array) -> None:
    """Compute g ← g + weight_decay · w."""
    for p in range(len(w)):
        g[p] += weight_decay * w[p]


@jit
def sgd(lr: Real, w: Array, g: Array) -> None:
    """Take a step of stochastic gradient descent, w ← w − lr · g."""
    for p in range(len(w)):
        w[p] -= lr * g[p]


@jit
def momentum(lr: Real, momentum: Real, nesterov: bool, w: Array, g: Array, v: Array) -> None:
    """Take a step of SGD with momentum, v ← momentum · v + g, w ← w − lr · v (Sutskever et al. 2013).

    With that of Nesterov (1983), w moves against g + momentum · v, with the new v.
    """
    if nesterov:
        for p in range(len(w)):
            v[p] = momentum * v[p] + g[p]
            w[p] -= lr * (g[p] + momentum * v[p])
    else:
        for p in range(len(w)):
            v[p] = momentum * v[p] + g[p]
            w[p] -= lr * v[p]


@jit
def add_squares(g: Array, s: Array) -> None:
    """Compute the sum of AdaGrad, s ← s + g² (Duchi, Hazan and Singer 2011)."""
    for p in range(len(g)):
        s[p] += g[p] * g[p]


@jit
def average_squares(alpha: Real, rest: Real, g: Array, s: Array) -> None:
    """Compute the moving average of RMSprop, s ← α s + (1 − α) g² (Tieleman and Hinton 2012), with `rest` = 1 − α."""
    for p in range(len(g)):
        s[p] = alpha * s[p] + rest * g[p] * g[p]


@jit
def scaled(lr: Real, epsilon: Real, w: Array, g: Array, s: Array) -> None:
    """Take a step of AdaGrad or RMSprop, w ← w − lr · g / (√s + ε)."""
    tiny = w.dtype.type(TINY)
    for p in range(len(w)):
        w[p] -= lr * g[p] / (np.sqrt(s[p] + tiny) + epsilon)


@jit
def adam(rule: Rule, steps: int, lr: float, w: Array, g: Array, m: Array, s: Array, largest: Array) -> None:
    """Take a step of Adam (Kingma and Ba 2015).

    m ← β₁ m + (1 − β₁) g, s ← β₂ s + (1 − β₂) g², w ← w − lr · m̂ / (√ŝ + ε).

    Both averages start at 0. After t steps, m̂ = m / (1 − β₁ᵗ) and ŝ = s / (1 − β₂ᵗ) correct the bias that results.
    AMSGrad uses the largest s so far instead of the current one (Reddi, Kale and Kumar 2018).
    """
    real = w.dtype.type
    beta1, rest1, beta2, rest2 = real(rule.beta1), real(1 - rule.beta1), real(rule.beta2), real(1 - rule.beta2)
    rate = real(lr / (1 - rule.beta1**steps))
    correction = real(1 / np.sqrt(1 - rule.beta2**steps))
    epsilon, tiny = real(rule.epsilon), real(TINY)
    if rule.amsgrad:
        for p in range(len(w)):
            m[p] = beta1 * m[p] + rest1 * g[p]
            s[p] = beta2 * s[p] + rest2 * g[p] * g[p]
            # written so that NaN in s is kept
            largest[p] = largest[p] if s[p] < largest[p] else s[p]
            w[p] -= rate * m[p] / (np.sqrt(largest[p] + tiny) * correction + epsilon)
    else:
        for p in range(len(w)):
            m[p] = beta1 * m[p] + rest1 * g[p]
            s[p] = beta2 * s[p] + rest2 * g[p] * g[p]
            w[p] -= rate * m[p] / (np.sqrt(s[p] + tiny) * correction + epsilon)
