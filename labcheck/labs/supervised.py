"""Labs whose models learn from labeled examples in the shared training loop."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata

import torch
from torch import Tensor, nn

from labcheck.core.lab import Data, Lab
from labcheck.core.trials import Trials
from labcheck.data import functions
from labcheck.data.examples import Examples, Order, Split, generators, shuffled
from labcheck.nn import training
from labcheck.nn.as_torch import as_torch
from labcheck.nn.compiled.training import unsupported_layers
from labcheck.nn.model import Model
from labcheck.nn.scratch.activations import ACTIVATIONS
from labcheck.nn.scratch.layers import Layer
from labcheck.nn.scratch.losses import MSE
from labcheck.nn.scratch.network import Network
from labcheck.nn.scratch.optimizers import OPTIMIZERS, Optimizer
from labcheck.nn.torch_model import TorchModel, seeded
from labcheck.nn.training import Recipe


@dataclass(frozen=True, kw_only=True)
class SupervisedLab(Lab):
    """A lab that defines its models, their data, how they are trained and what is measured afterwards.

    Attributes:
        optimizer: A name in `optimizers`.
        lr: The initial learning rate.
        momentum: The momentum of SGD.
    """

    optimizer: str
    lr: float
    momentum: float

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_choice("optimizer", self.optimizers)
        self.require_at_least(0, "lr", "momentum")

    @property
    def optimizers(self) -> Mapping[str, Callable[[float], Optimizer]]:
        """The valid values of the setting `optimizer`, each with a function that makes one from a momentum."""
        return OPTIMIZERS

    @abstractmethod
    def splits(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32) -> Mapping[str, Split]:
        """Return the examples of each seed by split: those of "train" are trained on, the others only evaluated."""

    @abstractmethod
    def model(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32, device: str = "cpu") -> Model:
        """Return the untrained model of each seed."""

    @abstractmethod
    def recipe(self) -> Recipe:
        """Return the recipe by which the models are trained."""

    def orders(self, seeds: Sequence[int]) -> list[Order]:
        """Return the order of each seed's training examples, by default a random one for each epoch."""
        return [shuffled(rng) for rng in generators(seeds, "order")]

    def inspect(self, model: Model, splits: Mapping[str, Split]) -> dict[str, Tensor]:
        """Return metrics (K,) of the untrained models, by default none."""
        return {}

    def measure(self, model: Model, splits: Mapping[str, Split]) -> dict[str, Tensor]:
        """Return metrics (K,) and tables (K, …) of the trained models, by default `<split>_mse`."""
        return {f"{name}_mse": training.evaluate(model, split, MSE())["loss"] for name, split in splits.items()}

    def new_optimizer(self) -> Optimizer:
        """Return a new optimizer according to the settings."""
        return self.optimizers[self.optimizer](self.momentum)

    def train(self, seeds: Sequence[int], device: str = "cpu", dtype: torch.dtype = torch.float32) -> Trials:
        """Train one model with each seed, `stack(device)` of them side by side.

        Returns:
            The metrics and tables of `inspect` and `measure`, also as `final_<name>` for the last weights if the best
            ones are restored, with `epochs` and `final_loss`, the last epoch's batch loss; and the curves of
            `labcheck.nn.training.train`.
        """
        size = self.stack(device)
        chunks = [seeds[first : first + size] for first in range(0, len(seeds), size)]
        return Trials.join([self._train(chunk, device, dtype) for chunk in chunks])

    def _train(self, seeds: Sequence[int], device: str, dtype: torch.dtype) -> Trials:
        """Train the models of all these seeds side by side."""
        splits = {name: split.to(device) for name, split in self.splits(seeds, dtype).items()}
        model = self.model(seeds, dtype, device)
        if len(model.state) != len(seeds):
            raise ValueError(
                f"{type(self).__name__}.model must return one model per seed, {len(seeds)}, got {len(model.state)}; "
                "stack must return 1 if models are trained one at a time"
            )
        recipe = self.recipe()
        before = self.inspect(model, splits)
        history = training.train(model, splits, self.orders(seeds), recipe)
        measured = before | self.measure(model, splits)
        if recipe.restore_best:
            model.bind(history.last)
            measured |= {f"final_{name}": value for name, value in self.measure(model, splits).items()}
        return history.trials(measured)


@dataclass(frozen=True, kw_only=True)
class StackedLab(SupervisedLab):
    """A lab that trains networks from `labcheck.nn.scratch`, those of many seeds side by side.

    Attributes:
        activation: A name in `ACTIVATIONS`.
    """

    activation: str

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_choice("activation", ACTIVATIONS)

    def stack(self, device: str) -> int:
        # compiled loops gain little from more seeds at a time, and a claim can be decided after each block
        return 4 if self._is_compiled(device) else 20

    def precision(self, device: str) -> str:
        return (
            f"float32 compiled by Numba {metadata.version('numba')}"
            if self._is_compiled(device)
            else super().precision(device)
        )

    def _is_compiled(self, device: str) -> bool:
        """Return whether compiled loops train the networks on a device."""
        return device == "cpu" and self._has_kernels

    @cached_property
    def _has_kernels(self) -> bool:
        if type(self).model is not StackedLab.model:
            return False
        recipe = self.recipe()
        return recipe.augment is None and not unsupported_layers(self.layers(), recipe.loss(), recipe.optimizer())

    @abstractmethod
    def layers(self) -> list[Layer]:
        """Return the layers of one network."""

    def network(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32, device: str = "cpu") -> Network:
        """Return the untrained networks of all seeds."""
        return Network(self.layers(), generators(seeds, "init"), dtype, device)

    def redrawn_network(
        self, seeds: Sequence[int], redraw: Callable[[Network, int, int], object], dtype: torch.dtype, device: str
    ) -> Network:
        """Return untrained networks whose weights are drawn as in a report's script.

        They are drawn in float32 on the CPU, since a generator yields other numbers in another precision or on another
        device.

        Args:
            seeds: The seeds.
            redraw: A function that draws the weights of a model in a network; it takes the network, the model and its
                seed.
            dtype: The precision of the networks.
            device: The device of the networks.
        """
        network = StackedLab.network(self, seeds)
        for model, seed in enumerate(seeds):
            redraw(network, model, seed)
        network.bind(network.state.to(device, dtype))
        return network

    def model(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32, device: str = "cpu") -> Model:
        return self.network(seeds, dtype, device)

    def graph(self) -> tuple[nn.Module, Tensor]:
        """Return the network as a torch module, and two examples for it."""
        return as_torch(self.network([0]), 0), _two_examples(self.splits([0]))[0]


@dataclass(frozen=True, kw_only=True)
class FunctionLab(StackedLab):
    """A lab that fits random samples of a function of one variable."""

    def data(self) -> Data:
        """Return a name and the digest of the examples of seed 0 with the default settings, which all arms share."""
        required = {name: getattr(self, name) for name in self.required_settings()}
        return Data("drawn", functions.digest_splits(type(self)(**required).splits([0], torch.float64)))

    @abstractmethod
    def splits(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32) -> Mapping[str, Examples]:
        """Return the examples of each seed by split."""


@dataclass(frozen=True, kw_only=True)
class ModuleLab(SupervisedLab):
    """A lab that trains a torch module with one seed at a time.

    Convolutions gain nothing from training many seeds side by side on a CPU.
    """

    def stack(self, device: str) -> int:
        return 1

    @abstractmethod
    def module(self, seed: int, device: str = "cpu") -> nn.Module:
        """Return the untrained module for a device, on the CPU, so that it starts with the same weights everywhere."""

    def _module(self, seed: int, device: str = "cpu") -> nn.Module:
        """Return the untrained module, and restore torch's generator, from which new modules draw."""
        with torch.random.fork_rng(devices=[]):
            return self.module(seed, device)

    def model(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32, device: str = "cpu") -> TorchModel:
        [seed] = seeds
        return TorchModel(self._module(seed, device).to(device, dtype))

    def _train(self, seeds: Sequence[int], device: str, dtype: torch.dtype) -> Trials:
        # dropout and augmentation draw from torch's generator
        with seeded(generators(seeds, "noise")[0].initial_seed(), device):
            return super()._train(seeds, device, dtype)

    def graph(self) -> tuple[nn.Module, Tensor]:
        """Return the module and two examples for it."""
        return self._module(0), _two_examples(self.splits([0]))[0]


def squared_errors(model: Model, splits: Mapping[str, Split]) -> dict[str, Tensor]:
    """Return the squared error of each model with one output on each example (K, N), by split."""
    return {name: (training.predict(model, split) - split.y.mT).square().squeeze(1) for name, split in splits.items()}


def fit_tables(model: Model, split: Split, x: Tensor) -> dict[str, Tensor]:
    """Return the tables `grid_x`, `grid_true` and `grid_fit` of a function and its fits, at up to 200 points.

    Args:
        model: The models.
        split: The points of a grid, standardized or not, with the values of the function.
        x: The points themselves, (N, 1).
    """
    columns = {"x": x.mT, "true": split.y.squeeze(2), "fit": training.predict(model, split).squeeze(1)}
    return functions.grid_tables(columns)


def _two_examples(splits: Mapping[str, Split]) -> Tensor:
    return splits["train"].batch(torch.tensor([[0, 1]])).x
