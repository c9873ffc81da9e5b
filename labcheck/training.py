"""The one training loop: K models of one arm at once, each with its own seed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from labcheck import progress
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
        curves: one number per model and record (K, R); NaN where a model had stopped.
        recorded: after how many epochs each record was taken (R,).
        epochs: how many each model trained (K,).
    """

    curves: dict[str, Tensor]
    recorded: Tensor
    epochs: Tensor

    def trials(self, **metrics: Tensor) -> Trials:
        """These curves with the metrics (K,) of the trained models; `final_loss` is the last epoch's batch loss."""
        last = torch.searchsorted(self.recorded, self.epochs).unsqueeze(1)
        metrics |= {"epochs": self.epochs, "final_loss": self.curves["batch_loss"].gather(1, last).squeeze(1)}
        numbers, curves = (
            {name: tensor.double().cpu().numpy() for name, tensor in part.items()} for part in (metrics, self.curves)
        )
        return Trials(numbers, curves, self.recorded.cpu().numpy())


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
    record: Sequence[int] | None = None,
    best: bool = False,
    finished: Finished | None = None,
) -> History:
    """Train the network's K models on `parts["train"]` and leave in it what each has learned.

    At every record the parts named in `watch` are evaluated, and the schedule sees the loss on the first of them. A
    model that is `finished`, or whose loss is no longer finite, leaves the stack with the weights it has; the others go
    on as if it had never been there.

    Args:
        parts: "train" and whatever `watch` names.
        orders: where each model's batch order comes from.
        lr: the learning rate at the start.
        batch: examples in a minibatch; what remains makes a smaller last one, as in torch's DataLoader.
        record: after how many epochs a record is taken, ascending and ending with `epochs`; after each unless said.
            Where there is none, nothing is evaluated, lowered or stopped.
        best: leave the weights of the record with the lowest loss on the first part watched, instead of the last ones.

    Returns:
        Curves `batch_loss` (mean over an epoch's minibatches, by example), `<part>_loss` for each part watched, `lr`.
    """
    parts = dict(parts)
    models = len(network.state)
    device = network.state.device
    rates = torch.full((models,), lr, dtype=torch.float64, device=device)
    alive = torch.arange(models, device=device)
    learned = torch.full_like(network.state, torch.nan)
    lowest = torch.full((models,), torch.inf, dtype=network.state.dtype, device=device)
    recorded = range(1, epochs + 1) if record is None else record
    names = ("batch_loss", *(f"{part}_loss" for part in watch), "lr")
    shape = (models, len(recorded))
    curves = {name: torch.full(shape, torch.nan, dtype=torch.float64, device=device) for name in names}
    lasted = torch.zeros(models, dtype=torch.int64, device=device)

    done = 0
    for column, epoch in enumerate(recorded):
        for _ in range(epoch - done):
            batch_loss = _epoch(network, parts["train"], orders, batch, loss, optimizer, rates)
        done = epoch
        progress.tell(epoch, epochs)

        losses = {f"{part}_loss": evaluate(network, parts[part], loss) for part in watch}
        for name, value in {"batch_loss": batch_loss, **losses, "lr": rates}.items():
            curves[name][alive, column] = value.double()
        lasted[alive] = epoch
        seen = losses[f"{watch[0]}_loss"]
        rates = schedule.step(rates, epoch - 1, seen)

        if best:
            better = seen < lowest[alive]
            lowest[alive[better]] = seen[better]
            learned[alive[better]] = network.state[better]
        stops = ~torch.isfinite(batch_loss + seen)
        if finished is not None:
            stops |= finished(epoch - 1, rates)
        if epoch == epochs:
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
    return History(curves, torch.tensor(recorded, device=device), lasted)


def _epoch(
    network: Network,
    examples: Examples,
    orders: list[torch.Generator],
    batch: int,
    loss: MSE,
    optimizer: Optimizer,
    rates: Tensor,
) -> Tensor:
    """One pass over each model's examples, in an order of its own; the mean loss (K,) of its minibatches."""
    n = examples.x.shape[1]
    if batch >= n:  # nothing to shuffle, nothing to copy
        value = network.gradient(examples.x, examples.y, loss)
        optimizer.step(network.values, network.gradients, rates)
        return value
    total = torch.zeros_like(network.state[:, 0])
    for index in torch.split(permutations(n, orders).to(rates.device), batch, dim=1):
        part = examples.batch(index)
        total += network.gradient(part.x, part.y, loss) * index.shape[1]
        optimizer.step(network.values, network.gradients, rates)
    return total / n
