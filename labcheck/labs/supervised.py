"""Labs whose models learn from examples, in the one training loop."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from labcheck.core.lab import Lab
from labcheck.core.trials import Trials
from labcheck.data import functions
from labcheck.data.examples import Order, Split, generators, shuffled
from labcheck.nn import training
from labcheck.nn.as_torch import as_torch
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
    """It says which models, on what data, how they train, and what is measured in the end."""

    optimizer: str
    lr: float
    momentum: float

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_choice("optimizer", self.optimizers)
        self.require_at_least(0, "lr", "momentum")

    @property
    def optimizers(self) -> Mapping[str, Callable[[float], Optimizer]]:
        """Those that the setting may name; each is made from the momentum that it may not have."""
        return OPTIMIZERS

    @abstractmethod
    def splits(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32) -> Mapping[str, Split]:
        """Each seed's examples: those to train on, "train", and those to look at."""

    @abstractmethod
    def model(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32, device: str = "cpu") -> Model:
        """Each seed's model before training."""

    @abstractmethod
    def recipe(self) -> Recipe:
        """How the models are trained."""

    def orders(self, seeds: Sequence[int]) -> list[Order]:
        """Return each seed's order of training examples for each epoch; a random one unless a lab overrides this."""
        return [shuffled(rng) for rng in generators(seeds, "order")]

    def inspect(self, model: Model, splits: Mapping[str, Split]) -> dict[str, Tensor]:
        """Return metrics (K,) of the models before training; none unless a lab overrides this."""
        return {}

    def measure(self, model: Model, splits: Mapping[str, Split]) -> dict[str, Tensor]:
        """Metrics (K,) and tables (K, …) of models: `<part>_mse` unless a lab says otherwise."""
        return {f"{name}_mse": training.evaluate(model, split, MSE())["loss"] for name, split in splits.items()}

    def new_optimizer(self) -> Optimizer:
        """A new optimizer, as the settings name it."""
        return self.optimizers[self.optimizer](self.momentum)

    def train(self, seeds: Sequence[int], device: str = "cpu", dtype: torch.dtype = torch.float32) -> Trials:
        """Train one model with each seed, `stack` of them side by side.

        Returns:
            What `measure` measures; of the last weights too, as `final_<name>`, where the best ones are kept; `epochs`
            and `final_loss`, the last epoch's batch loss; the curves of `labcheck.nn.training.train`.
        """
        lots = [seeds[first : first + self.stack] for first in range(0, len(seeds), self.stack)]
        return Trials.join([self._train(lot, device, dtype) for lot in lots])

    def _train(self, seeds: Sequence[int], device: str, dtype: torch.dtype) -> Trials:
        """All of them side by side."""
        splits = {name: split.to(device) for name, split in self.splits(seeds, dtype).items()}
        model = self.model(seeds, dtype, device)
        if len(model.state) != len(seeds):
            raise ValueError(
                f"{self.name}: {len(seeds)} seeds make {len(model.state)} model; a lab whose models train one at a "
                "time has stack = 1"
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
    """A lab of nets made of `labcheck.nn.scratch`, all seeds side by side."""

    activation: str

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_choice("activation", ACTIVATIONS)

    @property
    def stack(self) -> int:
        return 20

    @abstractmethod
    def layers(self) -> list[Layer]:
        """The layers of one net."""

    def network(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32, device: str = "cpu") -> Network:
        """Each seed's net before training."""
        return Network(self.layers(), generators(seeds, "init"), dtype, device)

    def model(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32, device: str = "cpu") -> Model:
        return self.network(seeds, dtype, device)

    def graph(self) -> tuple[nn.Module, Tensor]:
        """A net of torch.nn's modules and two examples for it."""
        return as_torch(self.network([0]), 0), _two(self.splits([0]))[0]


@dataclass(frozen=True, kw_only=True)
class ModuleLab(SupervisedLab):
    """A lab of a torch.nn module, one seed after the other: convolutions gain nothing from stacking on a CPU."""

    @property
    def stack(self) -> int:
        return 1

    @abstractmethod
    def module(self, seed: int, device: str = "cpu") -> nn.Module:
        """Before training, for this device but on the CPU, so that every device starts alike."""

    def _module(self, seed: int, device: str = "cpu") -> nn.Module:
        """The same; torch's own stream, from which torch's modules draw as they are made, stays where it is."""
        with torch.random.fork_rng(devices=[]):
            return self.module(seed, device)

    def model(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32, device: str = "cpu") -> TorchModel:
        [seed] = seeds
        return TorchModel(self._module(seed, device).to(device, dtype))

    def _train(self, seeds: Sequence[int], device: str, dtype: torch.dtype) -> Trials:
        # dropout and augmentation draw from torch's own stream
        with seeded(generators(seeds, "noise")[0].initial_seed(), device):
            return super()._train(seeds, device, dtype)

    def graph(self) -> tuple[nn.Module, Tensor]:
        """The module and two examples for it."""
        return self._module(0), _two(self.splits([0]))[0]


def fit(model: Model, split: Split, x: Tensor) -> dict[str, Tensor]:
    """Tables (K, 200) of what models make of a function at points x (N, 1), which are the split's examples."""
    return functions.shown({"x": x.mT, "true": split.y.squeeze(2), "fit": training.predict(model, split).squeeze(1)})


def _two(splits: Mapping[str, Split]) -> Tensor:
    return splits["train"].batch(torch.tensor([[0, 1]])).x
