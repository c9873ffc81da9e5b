"""SGD with weight decay and random gradients, compared with torch."""

import pytest
import torch

from labcheck.nn.scratch.optimizers import SGD

DECAYS: list[tuple[float, float]] = [(0.0, 0.1), (0.0, 5e-4), (0.9, 0.1), (0.9, 5e-4), (0.5, 0.0)]


@pytest.mark.parametrize(("momentum", "weight_decay"), DECAYS)
def test_weight_decay_matches_torch(momentum: float, weight_decay: float):
    rng = torch.Generator().manual_seed(0)
    values = torch.randn(3, 7, dtype=torch.float64, generator=rng)
    lrs = torch.tensor([0.1, 0.01, 0.5], dtype=torch.float64)
    optimizer = SGD(momentum, weight_decay)
    references = [row.clone().requires_grad_() for row in values]
    torch_optimizers = [
        torch.optim.SGD([row], float(lr), momentum=momentum, weight_decay=weight_decay)
        for row, lr in zip(references, lrs, strict=True)
    ]
    for _ in range(50):
        gradients = torch.randn(values.shape, dtype=torch.float64, generator=rng)
        for row, gradient, torch_optimizer in zip(references, gradients, torch_optimizers, strict=True):
            row.grad = gradient.clone()
            torch_optimizer.step()
        optimizer.step(values, gradients, lrs)
        torch.testing.assert_close(values, torch.stack(references).detach(), rtol=1e-12, atol=1e-12)
