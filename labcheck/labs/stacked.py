"""Labs whose models train side by side."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from labcheck import training
from labcheck.data.examples import Examples, generators
from labcheck.labs.lab import Lab
from labcheck.metrics import Trials
from labcheck.models.layers import ACTIVATIONS, Layer
from labcheck.models.network import Network
from labcheck.optim import OPTIMIZERS, Optimizer
from labcheck.training import Recipe


@dataclass(frozen=True, kw_only=True)
class StackedLab(Lab):
    """A lab of nets made of `labcheck.models.layers`.

    It says which layers, on what data, how they train, and what is measured in the end.
    """

    activation: str
    optimizer: str
    lr: float
    momentum: float

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("activation", ACTIVATIONS)
        self.check("optimizer", OPTIMIZERS)
        self.at_least(0, "lr", "momentum")

    @abstractmethod
    def parts(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32) -> dict[str, Examples]:
        """Each seed's examples: those to train on, "train", and those to look at."""

    @abstractmethod
    def layers(self) -> list[Layer]:
        """Of one net."""

    @abstractmethod
    def recipe(self) -> Recipe:
        """How the nets are trained."""

    def measure(self, network: Network, parts: dict[str, Examples]) -> dict[str, Tensor]:
        """The metrics of the trained nets, (K,) each: `<part>_mse` unless a lab says otherwise."""
        return {
            f"{name}_mse": (network.predict(part.x) - part.y.mT).square().mean((1, 2)) for name, part in parts.items()
        }

    def new_optimizer(self) -> Optimizer:
        """That of the settings."""
        return OPTIMIZERS[self.optimizer](self.momentum)

    def network(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32, device: str = "cpu") -> Network:
        """Each seed's net before training."""
        return Network(self.layers(), generators(seeds, "init"), dtype, device)

    def train(self, seeds: Sequence[int], device: str = "cpu", dtype: torch.dtype = torch.float32) -> Trials:
        """Train one net with each seed.

        Returns:
            The metrics of `measure`, `epochs` and `final_loss`, the last epoch's batch loss; the curves of
            `labcheck.training.train`.
        """
        parts = {name: part.to(device) for name, part in self.parts(seeds, dtype).items()}
        network = self.network(seeds, dtype, device)
        history = training.train(network, parts, generators(seeds, "order"), self.recipe())
        return history.trials(**self.measure(network, parts))

    def graph(self) -> tuple[nn.Module, Tensor]:
        """A net of torch.nn's modules and two examples for it."""
        return self.network([0]).module(0), self.parts([0])["train"].x[0, :2]
