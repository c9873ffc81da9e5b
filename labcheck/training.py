"""The one training loop: K models of one arm at once, each with its own seed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

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


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How networks are trained, once: optimizer, schedule and loss keep what they saw.

    Attributes:
        lr: the learning rate at the start.
        batch: examples in a minibatch; what remains makes a smaller last one, as in torch's DataLoader.
        watch: the parts that are evaluated; the schedule sees the loss on the first of them.
        record: after how many epochs parts are evaluated, ascending and ending with `epochs`; after each unless said.
            Between two records nothing is lowered or stopped.
        best: keep the weights of the record with the lowest loss on the first part watched, instead of the last ones.
        finished: which models stop early.
    """

    optimizer: Optimizer
    lr: float
    batch: int
    epochs: int
    schedule: Schedule = field(default_factory=Schedule)
    loss: MSE = field(default_factory=MSE)
    watch: Sequence[str] = ("val",)
    record: Sequence[int] | None = None
    best: bool = False
    finished: Finished | None = None

    def __post_init__(self) -> None:
        if self.record is None:
            return
        record = list(self.record)
        if record != sorted({*record}) or record[:1] < [1] or record[-1:] != [self.epochs]:
            raise ValueError("records ascend, and the last one is taken after the last epoch")


def train(network: Network, parts: Mapping[str, Examples], orders: list[torch.Generator], recipe: Recipe) -> History:
    """Train the network's K models on `parts["train"]` and leave in it what each has learned.

    A model that is finished, or whose loss is no longer finite, leaves the stack with the weights it has; the others go
    on as if it had never been there.

    Args:
        parts: "train" and those to watch.
        orders: where each model's batch order comes from.

    Returns:
        Curves `batch_loss` (mean over an epoch's minibatches, by example), `<part>_loss` for each part watched, `lr`.
    """
    parts = dict(parts)
    models = len(network.state)
    device = network.state.device
    rates = torch.full((models,), recipe.lr, dtype=torch.float64, device=device)
    alive = torch.arange(models, device=device)
    learned = torch.full_like(network.state, torch.nan)
    lowest = torch.full((models,), torch.inf, dtype=network.state.dtype, device=device)
    recorded = range(1, recipe.epochs + 1) if recipe.record is None else recipe.record
    names = ("batch_loss", *(f"{part}_loss" for part in recipe.watch), "lr")
    shape = (models, len(recorded))
    curves = {name: torch.full(shape, torch.nan, dtype=torch.float64, device=device) for name in names}
    lasted = torch.zeros(models, dtype=torch.int64, device=device)

    done = 0
    for column, epoch in enumerate(recorded):
        for _ in range(epoch - done):
            batch_loss = _epoch(network, parts["train"], orders, recipe, rates)
        done = epoch
        progress.tell(epoch, recipe.epochs)

        losses = {f"{part}_loss": evaluate(network, parts[part], recipe.loss) for part in recipe.watch}
        for name, value in {"batch_loss": batch_loss, **losses, "lr": rates}.items():
            curves[name][alive, column] = value.double()
        lasted[alive] = epoch
        seen = losses[f"{recipe.watch[0]}_loss"]
        rates = recipe.schedule.step(rates, epoch - 1, seen)

        if recipe.best:
            better = seen < lowest[alive]
            lowest[alive[better]] = seen[better]
            learned[alive[better]] = network.state[better]
        stops = ~torch.isfinite(batch_loss + seen)
        if recipe.finished is not None:
            stops |= recipe.finished(epoch - 1, rates)
        if epoch == recipe.epochs:
            stops[:] = True
        if not stops.any():
            continue
        if not recipe.best:
            learned[alive[stops]] = network.state[stops]
        rows = torch.nonzero(~stops).squeeze(1)
        if len(rows) == 0:
            break
        alive, rates = alive[rows], rates[rows]
        orders = [orders[row] for row in rows.tolist()]
        parts = {name: examples.keep(rows) for name, examples in parts.items()}
        for stateful in (network, recipe.optimizer, recipe.schedule):
            stateful.keep(rows)

    network.hold(learned)
    return History(curves, torch.tensor(recorded, device=device), lasted)


def _epoch(
    network: Network, examples: Examples, orders: list[torch.Generator], recipe: Recipe, rates: Tensor
) -> Tensor:
    """One pass over each model's examples, in an order of its own; the mean loss (K,) of its minibatches."""
    n = examples.x.shape[1]
    if recipe.batch >= n:  # nothing to shuffle, nothing to copy
        return _step(network, examples, recipe, rates)
    total = torch.zeros_like(network.state[:, 0])
    for index in torch.split(permutations(n, orders).to(rates.device), recipe.batch, dim=1):
        total += _step(network, examples.batch(index), recipe, rates) * index.shape[1]
    return total / n


def _step(network: Network, batch: Examples, recipe: Recipe, rates: Tensor) -> Tensor:
    loss = network.gradient(batch.x, batch.y, recipe.loss)
    recipe.optimizer.step(network.values, network.gradients, rates)
    return loss
