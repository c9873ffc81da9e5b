"""The one training loop: K models of one arm at once, each with its own seed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from labcheck.data.examples import Examples, permutations
from labcheck.metrics import Trials
from labcheck.models.layers import MSE
from labcheck.models.network import Network
from labcheck.optim import Optimizer, Schedule

Finished = Callable[[int, Tensor], Tensor]
"""(epoch, learning rates (K,)) → which models stop after this epoch (K,)."""


@dataclass(frozen=True)
class History:
    """What the loop saw.

    Attributes:
        curves: one number per model and epoch (K, E); NaN where a model had stopped.
        epochs: how many each model trained (K,).
    """

    curves: dict[str, Tensor]
    epochs: Tensor

    def trials(self, **metrics: Tensor) -> Trials:
        """These curves with the metrics (K,) of the trained models; `final_loss` is the last epoch's batch loss."""
        last = self.curves["batch_loss"].gather(1, self.epochs.unsqueeze(1) - 1).squeeze(1)
        metrics |= {"epochs": self.epochs, "final_loss": last}
        arrays = [
            {name: tensor.double().cpu().numpy() for name, tensor in part.items()} for part in (metrics, self.curves)
        ]
        return Trials(*arrays)


def evaluate(network: Network, examples: Examples, loss: MSE) -> Tensor:
    """The loss (K,) of each model on its examples."""
    return loss.forward(network.predict(examples.x), examples.y.mT)


def train(
    network: Network,
    parts: Mapping[str, Examples],
    orders: list[torch.Generator],
    *,
    loss: MSE,
    optimizer: Optimizer,
    schedule: Schedule,
    lr: float,
    batch: int,
    epochs: int,
    watch: Sequence[str] = ("val",),
    best: bool = False,
    finished: Finished | None = None,
) -> History:
    """Train the network's K models on `parts["train"]` and leave in it what each has learned.

    After every epoch the parts named in `watch` are evaluated and the schedule sees the loss on "val". A model that is
    `finished`, or whose loss is no longer finite, leaves the stack with the weights it has; the others go on as if it
    had never been there.

    Args:
        parts: "train", "val" and whatever else `watch` names.
        orders: where each model's batch order comes from.
        lr: the learning rate at the start.
        batch: examples in a minibatch; what remains makes a smaller last one, as in torch's DataLoader.
        best: leave the weights of the epoch with the lowest validation loss, instead of the last ones.

    Returns:
        Curves `batch_loss` (mean over an epoch's minibatches, by example), `<part>_loss` for each part watched, `lr`.
    """
    parts = dict(parts)
    models, n = parts["train"].x.shape[:2]
    device = network.state.device
    rates = torch.full((models,), lr, dtype=torch.float64, device=device)
    alive = torch.arange(models, device=device)
    learned = torch.full_like(network.state, torch.nan)
    lowest = torch.full((models,), torch.inf, dtype=network.state.dtype, device=device)
    names = ("batch_loss", *(f"{part}_loss" for part in watch), "lr")
    curves = {name: torch.full((models, epochs), torch.nan, dtype=torch.float64, device=device) for name in names}
    lasted = torch.zeros(models, dtype=torch.int64, device=device)

    for epoch in range(epochs):
        order = permutations(n, orders).to(device)
        total = torch.zeros(len(alive), dtype=network.state.dtype, device=device)
        for index in torch.split(order, batch, dim=1):
            examples = parts["train"].batch(index)
            total += network.gradient(examples.x, examples.y, loss) * index.shape[1]
            optimizer.step(network.values, network.gradients, rates)

        losses = {f"{part}_loss": evaluate(network, parts[part], loss) for part in watch}
        for name, value in {"batch_loss": total / n, **losses, "lr": rates}.items():
            curves[name][alive, epoch] = value.double()
        lasted[alive] = epoch + 1
        val = losses["val_loss"]
        rates = schedule.step(rates, epoch, val)

        if best:
            better = val < lowest[alive]
            lowest[alive[better]] = val[better]
            learned[alive[better]] = network.state[better]
        stops = ~torch.isfinite(total + val)
        if finished is not None:
            stops |= finished(epoch, rates)
        if epoch + 1 == epochs:
            stops[:] = True
        if not stops.any():
            continue
        if not best:
            learned[alive[stops]] = network.state[stops]
        rows = torch.nonzero(~stops).squeeze(1)
        if len(rows) == 0:
            break
        alive, rates = alive[rows], rates[rows]
        orders = [orders[row] for row in rows.tolist()]
        parts = {name: examples.keep(rows) for name, examples in parts.items()}
        for stateful in (network, optimizer, schedule):
            stateful.keep(rows)

    network.hold(learned)
    return History(curves, lasted)
