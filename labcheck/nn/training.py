"""The one training loop: K models of one arm at once, each with its own seed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from labcheck.core.metrics import Trials
from labcheck.data.examples import Examples, Order, Part, ordered
from labcheck.engine import progress
from labcheck.nn.model import Model
from labcheck.nn.scratch.losses import MSE, Loss
from labcheck.nn.scratch.optimizers import Optimizer
from labcheck.nn.scratch.schedules import Schedule

Finished = Callable[[int, Tensor], Tensor]
"""(epoch, learning rates (K,)) → which models stop after this epoch (K,)."""


@dataclass(frozen=True)
class History:
    """What the loop saw.

    Attributes:
        curves: one number per model and record (K, R); NaN where a model had stopped.
        recorded: after how many epochs each record was taken (R,).
        epochs: how many each model trained (K,).
        last: the models' state after the last epoch of each (K, P + S).
    """

    curves: dict[str, Tensor]
    recorded: Tensor
    epochs: Tensor
    last: Tensor

    def trials(self, measured: Mapping[str, Tensor]) -> Trials:
        """These curves with what was measured of the trained models: metrics (K,) and tables (K, …).

        `final_loss` is the last epoch's batch loss.
        """
        last = torch.searchsorted(self.recorded, self.epochs).unsqueeze(1)
        found = {**measured, "epochs": self.epochs, "final_loss": self.curves["batch_loss"].gather(1, last).squeeze(1)}
        numbers, curves = (
            {name: tensor.double().cpu().numpy() for name, tensor in part.items()} for part in (found, self.curves)
        )
        metrics = {name: array for name, array in numbers.items() if array.ndim == 1}
        tables = {name: array for name, array in numbers.items() if array.ndim > 1}
        return Trials(metrics, curves, self.recorded.cpu().numpy(), tables)


def predict(model: Model, part: Part) -> Tensor:
    """Each model's outputs for its examples, (K, out, N)."""
    return torch.cat([model.predict(piece.x).clone() for piece in part.pieces()], 2)


def evaluate(model: Model, part: Part, loss: Loss) -> dict[str, Tensor]:
    """The scores (K,) of each model on its examples."""
    total: dict[str, Tensor] = {}
    for piece in part.pieces():
        for name, score in loss.scores(model.predict(piece.x), piece.y.mT).items():
            total[name] = total.get(name, 0) + score * (len(piece) / len(part))
    return total


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How networks are trained, once: optimizer, schedule and loss keep what they saw.

    Attributes:
        lr: the learning rate at the start.
        batch: examples in a minibatch; what remains makes a smaller last one, as in torch's DataLoader.
        augment: what a minibatch (K, B, …) is turned into before a step.
        watch: the parts that are evaluated; the schedule sees the loss on the first of them, or else the batch loss.
        record: after how many epochs parts are evaluated, ascending and ending with `epochs`; after each unless said.
            Between two records nothing is lowered or stopped.
        best: keep the weights of the record with the lowest loss on the first part watched, instead of the last ones.
        best_every: look for them only after every N epochs.
        finished: which models stop early.
    """

    optimizer: Optimizer
    lr: float
    batch: int
    epochs: int
    schedule: Schedule = field(default_factory=Schedule)
    loss: Loss = field(default_factory=MSE)
    augment: Callable[[Tensor], Tensor] | None = None
    watch: Sequence[str] = ("val",)
    record: Sequence[int] | None = None
    best: bool = False
    best_every: int = 1
    finished: Finished | None = None

    def __post_init__(self) -> None:
        if self.record is None:
            return
        record = list(self.record)
        if record != sorted({*record}) or record[:1] < [1] or record[-1:] != [self.epochs]:
            raise ValueError("records ascend from 1 or later, and the last one is taken after the last epoch")


def train(model: Model, parts: Mapping[str, Part], orders: Sequence[Order], recipe: Recipe) -> History:
    """Train K models on `parts["train"]` and leave in them what each has learned.

    One that is finished, or whose loss is no longer finite, leaves the stack with the weights it has; the others go on
    as if it had never been there.

    Args:
        parts: "train" and those to watch.
        orders: each model's order of examples, one for each epoch.

    Returns:
        Curves `batch_<score>` (mean over an epoch's minibatches, by example) and `<part>_<score>` for each part watched
        and each of the loss's scores, and `lr`.
    """
    parts = dict(parts)
    models = len(model.state)
    device = model.state.device
    rates = torch.full((models,), recipe.lr, dtype=torch.float64, device=device)
    alive = torch.arange(models, device=device)
    last = torch.full_like(model.state, torch.nan)
    best = torch.full_like(model.state, torch.nan) if recipe.best else last
    lowest = torch.full((models,), torch.inf, dtype=model.state.dtype, device=device)
    recorded = range(1, recipe.epochs + 1) if recipe.record is None else recipe.record
    curves: dict[str, Tensor] = {}
    lasted = torch.zeros(models, dtype=torch.int64, device=device)

    done = 0
    for column, epoch in enumerate(recorded):
        for _ in range(epoch - done):
            trained = _epoch(model, parts["train"], orders, recipe, rates)
        done = epoch
        progress.tell(epoch, recipe.epochs)

        seen = {f"batch_{name}": score for name, score in trained.items()}
        for part in recipe.watch:
            scores = evaluate(model, parts[part], recipe.loss)
            seen |= {f"{part}_{name}": score for name, score in scores.items()}
        for name, value in {**seen, "lr": rates}.items():
            if name not in curves:
                shape = (models, len(recorded))
                curves[name] = torch.full(shape, torch.nan, dtype=torch.float64, device=device)
            curves[name][alive, column] = value.double()
        lasted[alive] = epoch
        judged = seen[f"{recipe.watch[0]}_loss" if recipe.watch else "batch_loss"]
        rates = recipe.schedule.step(rates, epoch - 1, judged)

        if recipe.best and epoch % recipe.best_every == 0:
            better = judged < lowest[alive]
            lowest[alive[better]] = judged[better]
            best[alive[better]] = model.state[better]
        stops = ~torch.isfinite(seen["batch_loss"] + judged)
        if recipe.finished is not None:
            stops |= recipe.finished(epoch - 1, rates)
        if epoch == recipe.epochs:
            stops[:] = True
        if not stops.any():
            continue
        last[alive[stops]] = model.state[stops]
        rows = torch.nonzero(~stops).squeeze(1)
        if len(rows) == 0:
            break
        alive, rates = alive[rows], rates[rows]
        orders = [orders[row] for row in rows.tolist()]
        parts = {name: part.keep(rows) for name, part in parts.items()}
        for stateful in (model, recipe.optimizer, recipe.schedule):
            stateful.keep(rows)

    model.hold(best)
    return History(curves, torch.tensor(recorded, device=device), lasted, last)


def _epoch(model: Model, part: Part, orders: Sequence[Order], recipe: Recipe, rates: Tensor) -> dict[str, Tensor]:
    """One pass over each model's examples, in an order of its own; the mean scores (K,) of its minibatches."""
    n = len(part)
    if recipe.batch >= n and isinstance(part, Examples):  # nothing to shuffle, nothing to copy
        return _step(model, part, recipe, rates)
    total: dict[str, Tensor] = {}
    for batch in part.batches(ordered(n, orders).to(rates.device), recipe.batch):
        for name, score in _step(model, batch, recipe, rates).items():
            total[name] = total.get(name, 0) + score * len(batch)
    return {name: score / n for name, score in total.items()}


def _step(model: Model, batch: Examples, recipe: Recipe, rates: Tensor) -> dict[str, Tensor]:
    x = batch.x if recipe.augment is None else recipe.augment(batch.x)
    scores = model.gradient(x, batch.y, recipe.loss)
    recipe.optimizer.step(model.values, model.gradients, rates)
    return scores
