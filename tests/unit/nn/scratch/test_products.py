"""Tests of products of stacked matrices, whose result must not depend on the routine."""

import pytest
import torch
from torch import Tensor

from labcheck.nn.scratch import products
from labcheck.nn.scratch.products import product

SHAPES = {
    "outer product": (3, 4, 1, 5),
    "small": (3, 4, 5, 6),
    "large": (2, 150, 200, 100),
    "large and odd": (1, 129, 257, 101),
    "more rows than columns": (2, 400, 300, 20),
}


def operand(rows: int, columns: int, models: int, transposed: bool, rng: torch.Generator) -> Tensor:
    """Return random matrices (K, rows, columns), stored by columns if `transposed`, else by rows."""
    shape = (models, columns, rows) if transposed else (models, rows, columns)
    matrices = torch.randn(shape, generator=rng)
    return matrices.mT if transposed else matrices


@pytest.fixture(params=["onednn", "blas"])
def onednn_calls(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Enable or hide oneDNN, and return a list that gets an entry for each product by oneDNN."""
    calls: list[str] = []
    onednn = products._onednn

    def counted(x: Tensor, weight: Tensor) -> Tensor:
        calls.append("onednn")
        assert all(matrix.is_contiguous() or matrix.mT.is_contiguous() for matrix in (x, weight))
        return onednn(x, weight)

    monkeypatch.setattr(products, "_onednn", counted)
    if request.param == "blas":
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    elif not torch.backends.mkldnn.is_available():
        pytest.skip("this torch has no oneDNN")
    return calls


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("transposed", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("shape", SHAPES)
def test_product_equals_einsum(
    shape: str, transposed: tuple[bool, bool], with_bias: bool, onednn_calls: list[str], request: pytest.FixtureRequest
) -> None:
    models, m, n, p = SHAPES[shape]
    rng = torch.Generator().manual_seed(0)
    a, b = operand(m, n, models, transposed[0], rng), operand(n, p, models, transposed[1], rng)
    bias = torch.randn(models, m, 1, generator=rng) if with_bias else None
    out = torch.full((models, m, p), torch.nan)
    assert product(a, b, out, bias) is out
    expected = torch.einsum("kmn,knp->kmp", a.double(), b.double()) + (0 if bias is None else bias.double())
    torch.testing.assert_close(out.double(), expected, rtol=1e-5, atol=1e-4)
    large = shape not in ("outer product", "small") and "onednn" in request.node.callspec.id
    assert len(onednn_calls) == (models if large else 0)


def test_slices_of_larger_matrices_can_be_multiplied(onednn_calls: list[str]) -> None:
    a, b = torch.randn(1, 200, 300)[..., :150], torch.randn(1, 200, 300)[:, :150]
    out = torch.full((1, 200, 400), torch.nan)
    product(a, b, out[..., :300])
    torch.testing.assert_close(out[..., :300], a @ b, rtol=1e-4, atol=1e-4)
    assert out[..., 300:].isnan().all()


def test_onednn_multiplies_only_float32(onednn_calls: list[str]) -> None:
    a, b = (torch.randn(1, 200, 200, dtype=torch.float64) for _ in range(2))
    torch.testing.assert_close(product(a, b, torch.empty_like(a)), a @ b, rtol=1e-14, atol=1e-12)
    assert onednn_calls == []
