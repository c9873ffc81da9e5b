"""Matrix products for K models, each by the fastest routine that torch has for the shape."""

import torch
from torch import Tensor

LARGE = 2_000_000
"""The number of multiplications per model from which oneDNN is faster, its setup and a copy of its result included."""


def product(a: Tensor, b: Tensor, out: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute a b + bias for each model.

    torch.bmm uses MKL on most processors. MKL is slow for outer products, and on AMD's processors it uses half of the
    vector width in float32; oneDNN, which is part of torch, uses the full width.

    Args:
        a: The left matrices, (K, m, n).
        b: The right matrices, (K, n, p).
        out: The memory for the result, (K, m, p).
        bias: A tensor to add that can be broadcast to (K, m, p); None for no bias.

    Returns:
        `out`.
    """
    n = a.shape[2]
    if n == 1:
        # addcmul takes five times as long if more than one of its three operands must be broadcast
        return torch.mul(a, b, out=out) if bias is None else out.copy_(bias).addcmul_(a, b)
    if n * out[0].numel() < LARGE or not _has_onednn(out):
        return torch.bmm(a, b, out=out) if bias is None else torch.baddbmm(bias, a, b, out=out)
    for left, right, result in zip(map(_dense, a), map(_dense, b), out, strict=True):
        # oneDNN copies its first operand unless that is contiguous; a b = (bᵀ aᵀ)ᵀ allows either one to be the first
        result.copy_(_onednn(left, right.mT) if left.is_contiguous() else _onednn(right.mT, left).mT)
    return out if bias is None else out.add_(bias)


def _has_onednn(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.dtype == torch.float32 and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


def _dense(x: Tensor) -> Tensor:
    """Return a matrix that is stored without gaps, by rows or by columns, for which alone oneDNN is fast."""
    return x if x.is_contiguous() or x.mT.is_contiguous() else x.contiguous()


def _onednn(x: Tensor, weight: Tensor) -> Tensor:
    """Return x weightᵀ for x (m, n) and weight (p, n), by the operator that torch.compile uses for linear layers."""
    y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
    return y
