"""Labs whose models train side by side."""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from labcheck.data.examples import Examples, generators
from labcheck.labs.lab import Lab
from labcheck.metrics import Trials
from labcheck.models.layers import Layer
from labcheck.models.network import Network
from labcheck.training import History


class StackedLab(Lab):
    """A lab of nets made of `labcheck.models.layers`.

    It says which layers, on what data, how they train, and what is measured in the end.
    """

    @abstractmethod
    def parts(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32) -> dict[str, Examples]:
        """Each seed's examples: those to train on, "train", and those to look at."""

    @abstractmethod
    def layers(self) -> list[Layer]:
        """Of one net."""

    @abstractmethod
    def fit(self, network: Network, parts: dict[str, Examples], orders: list[torch.Generator]) -> History:
        """Train the network, with minibatches in these orders."""

    @abstractmethod
    def measure(self, network: Network, parts: dict[str, Examples]) -> dict[str, Tensor]:
        """The metrics of the trained models, (K,) each."""

    def network(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32, device: str = "cpu") -> Network:
        """Each seed's net before training."""
        return Network(self.layers(), generators(seeds, "init"), dtype, device)

    def train(self, seeds: Sequence[int], device: str = "cpu", dtype: torch.dtype = torch.float32) -> Trials:
        """Train one net with each seed; the metrics are those of `measure`, `epochs` and `final_loss`."""
        parts = {name: part.to(device) for name, part in self.parts(seeds, dtype).items()}
        network = self.network(seeds, dtype, device)
        history = self.fit(network, parts, generators(seeds, "order"))
        return history.trials(**self.measure(network, parts))

    def graph(self) -> tuple[nn.Module, Tensor]:
        """A net of torch.nn's modules and two examples for it."""
        return self.network([0]).module(0), self.parts([0])["train"].x[0, :2]
