"""The training loop: K models of one arm at once, each with its own seed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from labcheck.core.trials import Trials
from labcheck.data.examples import Examples, Order, Split, ordered
from labcheck.engine.progress import report_progress
from labcheck.nn.compiled.training import CompiledPrediction, CompiledTraining, unsupported
from labcheck.nn.model import Model
from labcheck.nn.scratch.losses import MSE, Loss
from labcheck.nn.scratch.network import Network
from labcheck.nn.scratch.optimizers import Optimizer
from labcheck.nn.scratch.schedules import Schedule
from labcheck.nn.torch_training import TorchTraining

Predictor = Callable[[Tensor], Tensor]
"""Each model's examples (K, N, …) → the outputs of the models in evaluation mode (K, out, N)."""
ShouldStop = Callable[[int, Tensor], Tensor]
"""The epoch, counted from 0, and the learning rates (K,) → which models stop after this epoch (K,)."""


@dataclass(frozen=True)
class History:
    """The records of a training.

    Attributes:
        curves: One value per model and record (K, R), by name; NaN after a model has stopped.
        recorded: The number of epochs completed at each record (R,).
        epochs: The number of epochs that each model trained (K,).
        last: The state of each model after its last epoch (K, P + S).
    """

    curves: dict[str, Tensor]
    recorded: Tensor
    epochs: Tensor
    last: Tensor

    def trials(self, measured: Mapping[str, Tensor]) -> Trials:
        """Combine the curves with measurements of the trained models.

        Args:
            measured: Metrics (K,) and tables (K, …) by name.

        Returns:
            Trials with these, and the metrics `epochs` and `final_loss`, the batch loss of the last epoch.
        """
        last = torch.searchsorted(self.recorded, self.epochs).unsqueeze(1)
        final_loss = self.curves["batch_loss"].gather(1, last).squeeze(1)
        arrays, curves = (
            {name: tensor.double().cpu().numpy() for name, tensor in tensors.items()}
            for tensors in ({**measured, "epochs": self.epochs, "final_loss": final_loss}, self.curves)
        )
        metrics = {name: array for name, array in arrays.items() if array.ndim == 1}
        tables = {name: array for name, array in arrays.items() if array.ndim > 1}
        return Trials(metrics, curves, self.recorded.cpu().numpy(), tables)


def predict(model: Model, split: Split) -> Tensor:
    """Return each model's outputs for its examples, (K, out, N)."""
    outputs = _predictor(model)
    return torch.cat([outputs(chunk.x).clone() for chunk in split.chunks()], 2)


def evaluate(model: Model, split: Split, loss: Loss) -> dict[str, Tensor]:
    """Return the scores (K,) of each model on its examples, by name."""
    return _evaluate(_predictor(model), split, loss)


def _predictor(model: Model) -> Predictor:
    """Return the function that computes the outputs of the models, with the rounding of the loop that trains them."""
    if isinstance(model, Network) and model.compiled:
        return CompiledPrediction(model)
    return model.predict


def _evaluate(outputs: Predictor, split: Split, loss: Loss) -> dict[str, Tensor]:
    total: dict[str, Tensor] = {}
    for chunk in split.chunks():
        for name, score in loss.scores(outputs(chunk.x), chunk.y.mT).items():
            total[name] = total.get(name, 0) + score * (len(chunk) / len(split))
    return total


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The settings of a training.

    Attributes:
        optimizer: A function that makes a new optimizer.
        lr: The initial learning rate.
        batch: The number of examples in a minibatch. The remaining ones make a smaller last batch, as in torch's
            DataLoader.
        epochs: The largest number of epochs.
        schedule: A function that makes a new learning-rate schedule.
        loss: A function that makes a new loss.
        augment: A function that is applied to the inputs of each minibatch (K, B, …).
        monitor: The splits to evaluate. The schedule receives the loss on the first of them, or the batch loss if
            there are none.
        record_at: The numbers of epochs after which the splits are evaluated, ascending and ending with `epochs`; None
            for every epoch. Between two records, the learning rate does not change and no model stops.
        restore_best: Whether each model ends with the weights of its lowest monitored loss, instead of the last ones.
        best_every: The number of epochs between two checks for a lower loss.
        should_stop: A function that decides which models stop early.
    """

    optimizer: Callable[[], Optimizer]
    lr: float
    batch: int
    epochs: int
    schedule: Callable[[], Schedule] = Schedule
    loss: Callable[[], Loss] = MSE
    augment: Callable[[Tensor], Tensor] | None = None
    monitor: Sequence[str] = ("val",)
    record_at: Sequence[int] | None = None
    restore_best: bool = False
    best_every: int = 1
    should_stop: ShouldStop | None = None

    def __post_init__(self) -> None:
        """Validate `record_at`.

        Raises:
            ValueError: Its numbers do not ascend from 1 or later to the last epoch.
        """
        if self.record_at is None:
            return
        records = list(self.record_at)
        if records != sorted({*records}) or records[:1] < [1] or records[-1:] != [self.epochs]:
            raise ValueError(f"record_at must ascend from at least 1 to epochs, {self.epochs}, got {records}")


def train(model: Model, splits: Mapping[str, Split], orders: Sequence[Order], recipe: Recipe) -> History:
    """Train K models on `splits["train"]`; afterwards each has its last weights, or its best ones if restored.

    A model that stops early, or whose loss is not finite, leaves the stack with its current weights. The other models
    continue as if it had never been there.

    Args:
        model: The K models.
        splits: The split "train", and those to monitor.
        orders: The order of each model's training examples in each epoch.
        recipe: The settings of the training.

    Returns:
        The history, with the curve `lr` and, for each score of the loss, `batch_<score>`, the mean over an epoch's
        minibatches weighted by their size, and `<split>_<score>` for each monitored split.
    """
    splits = dict(splits)
    optimizer, schedule, loss = recipe.optimizer(), recipe.schedule(), recipe.loss()
    loop = _loop(model, loss, optimizer, recipe)
    outputs = _predictor(model)
    whole = recipe.batch >= len(splits["train"]) and isinstance(splits["train"], Examples)  # nothing to shuffle
    models = len(model.state)
    device = model.state.device
    lrs = torch.full((models,), recipe.lr, dtype=torch.float64, device=device)
    active = torch.arange(models, device=device)
    last = torch.full_like(model.state, torch.nan)
    best = torch.full_like(model.state, torch.nan) if recipe.restore_best else last
    lowest = torch.full((models,), torch.inf, dtype=model.state.dtype, device=device)
    recorded = range(1, recipe.epochs + 1) if recipe.record_at is None else recipe.record_at
    curves: dict[str, Tensor] = {}
    epochs = torch.zeros(models, dtype=torch.int64, device=device)

    done = 0
    for column, epoch in enumerate(recorded):
        for _ in range(epoch - done):
            order = None if whole else ordered(len(splits["train"]), orders)
            trained = loop.train_epoch(splits["train"], order, recipe.batch, lrs)
        done = epoch
        report_progress(epoch, recipe.epochs)

        scores = {f"batch_{name}": score for name, score in trained.items()}
        for split in recipe.monitor:
            evaluated = _evaluate(outputs, splits[split], loss)
            scores |= {f"{split}_{name}": score for name, score in evaluated.items()}
        for name, value in {**scores, "lr": lrs}.items():
            if name not in curves:
                shape = (models, len(recorded))
                curves[name] = torch.full(shape, torch.nan, dtype=torch.float64, device=device)
            curves[name][active, column] = value.double()
        epochs[active] = epoch
        monitored = scores[f"{recipe.monitor[0]}_loss" if recipe.monitor else "batch_loss"]
        lrs = schedule.step(lrs, epoch - 1, monitored)

        if recipe.restore_best and epoch % recipe.best_every == 0:
            better = monitored < lowest[active]
            lowest[active[better]] = monitored[better]
            best[active[better]] = model.state[better]
        stops = ~torch.isfinite(scores["batch_loss"] + monitored)
        if recipe.should_stop is not None:
            stops |= recipe.should_stop(epoch - 1, lrs)
        if epoch == recipe.epochs:
            stops[:] = True
        if not stops.any():
            continue
        last[active[stops]] = model.state[stops]
        rows = torch.nonzero(~stops).squeeze(1)
        if len(rows) == 0:
            break
        active, lrs = active[rows], lrs[rows]
        orders = [orders[row] for row in rows.tolist()]
        splits = {name: examples.select(rows) for name, examples in splits.items()}
        for stateful in (model, optimizer, schedule):
            stateful.select(rows)

    model.bind(best)
    return History(curves, torch.tensor(recorded, device=device), epochs, last)


def _loop(model: Model, loss: Loss, optimizer: Optimizer, recipe: Recipe) -> TorchTraining | CompiledTraining:
    """Return the loop over minibatches, compiled if there are kernels for all that it does."""
    if isinstance(model, Network) and recipe.augment is None and not unsupported(model, loss, optimizer):
        model.compiled = True
        return CompiledTraining(model, loss, optimizer)
    return TorchTraining(model, loss, optimizer, recipe.augment)
