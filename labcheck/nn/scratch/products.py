"""Products of matrices of K models, each by the fastest routine that torch has for its shape."""

import torch
from torch import Tensor

LARGE = 2_000_000
"""Multiplications of one model from which oneDNN's setup, and the copy of what it gives, are paid for."""


def product(a: Tensor, b: Tensor, out: Tensor, plus: Tensor | None = None) -> Tensor:
    """a (K, m, n) times b (K, n, p), plus what broadcasts to that, into `out` (K, m, p).

    `bmm` is MKL's on most processors, which is slow where nothing is summed, and on AMD's uses half of their width in
    float32; oneDNN, which torch brings along, uses all of it.
    """
    n = a.shape[2]
    if n == 1:
        # of the three operands of addcmul only one may be broadcast, or it takes five times as long
        return torch.mul(a, b, out=out) if plus is None else out.copy_(plus).addcmul_(a, b)
    if n * out[0].numel() < LARGE or not _has_onednn(out):
        return torch.bmm(a, b, out=out) if plus is None else torch.baddbmm(plus, a, b, out=out)
    for left, right, result in zip(map(_dense, a), map(_dense, b), out, strict=True):
        # of its two operands the routine copies the first one, unless that is contiguous
        result.copy_(_onednn(left, right.mT) if left.is_contiguous() else _onednn(right.mT, left).mT)
    return out if plus is None else out.add_(plus)


def _has_onednn(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.dtype == torch.float32 and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


def _dense(x: Tensor) -> Tensor:
    """A matrix that lies in memory by rows or by columns without gaps, for which alone oneDNN is fast."""
    return x if x.is_contiguous() or x.mT.is_contiguous() else x.contiguous()


def _onednn(x: Tensor, weight: Tensor) -> Tensor:
    """x (m, n) times the transpose of weight (p, n): what torch's compiler puts in the place of a linear layer."""
    y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
    return y
