"""Products of stacked matrices: one answer, whichever routine gives it."""

import pytest
import torch
from torch import Tensor

from labcheck.nn.scratch import products
from labcheck.nn.scratch.products import product

SHAPES = {
    "nothing summed": (3, 4, 1, 5),
    "small": (3, 4, 5, 6),
    "large": (2, 150, 200, 100),
    "large and odd": (1, 129, 257, 101),
    "more rows than columns": (2, 400, 300, 20),
}


def operand(rows: int, columns: int, models: int, transposed: bool, rng: torch.Generator) -> Tensor:
    """(K, rows, columns), and as it lies in memory."""
    shape = (models, columns, rows) if transposed else (models, rows, columns)
    drawn = torch.randn(shape, generator=rng)
    return drawn.mT if transposed else drawn


@pytest.fixture(params=["onednn", "blas"])
def routine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which products oneDNN has made; none where there is no oneDNN."""
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


@pytest.mark.parametrize("plus", [False, True])
@pytest.mark.parametrize("transposed", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_product_is_the_sum_over_what_is_common(
    shape: str, transposed: tuple[bool, bool], plus: bool, routine: list[str], request: pytest.FixtureRequest
) -> None:
    models, m, n, p = SHAPES[shape]
    rng = torch.Generator().manual_seed(0)
    a, b = operand(m, n, models, transposed[0], rng), operand(n, p, models, transposed[1], rng)
    bias = torch.randn(models, m, 1, generator=rng) if plus else None
    out = torch.full((models, m, p), torch.nan)
    assert product(a, b, out, bias) is out
    expected = torch.einsum("kmn,knp->kmp", a.double(), b.double()) + (0 if bias is None else bias.double())
    torch.testing.assert_close(out.double(), expected, rtol=1e-5, atol=1e-4)
    large = shape not in ("nothing summed", "small") and "onednn" in request.node.callspec.id
    assert len(routine) == (models if large else 0)


def test_parts_of_larger_matrices_may_be_multiplied(routine: list[str]) -> None:
    a, b = torch.randn(1, 200, 300)[..., :150], torch.randn(1, 200, 300)[:, :150]
    out = torch.full((1, 200, 400), torch.nan)
    product(a, b, out[..., :300])
    torch.testing.assert_close(out[..., :300], a @ b, rtol=1e-4, atol=1e-4)
    assert out[..., 300:].isnan().all()


def test_only_float32_is_given_to_onednn(routine: list[str]) -> None:
    a, b = (torch.randn(1, 200, 200, dtype=torch.float64) for _ in range(2))
    torch.testing.assert_close(product(a, b, torch.empty_like(a)), a @ b, rtol=1e-14, atol=1e-12)
    assert routine == []
