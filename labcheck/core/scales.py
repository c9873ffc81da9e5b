"""The sizes at which a claim can be checked."""

from enum import StrEnum


class Scale(StrEnum):
    """The size of an experiment.

    Attributes:
        QUICK: Reduced, on a CPU, within minutes.
        FULL: The size that the report used. These tests carry the marker `gpu`.
    """

    QUICK = "quick"
    FULL = "full"

    @property
    def needs_gpu(self) -> bool:
        """Whether this scale trains on a GPU unless another device is named."""
        return self is Scale.FULL

    @property
    def device(self) -> str:
        """The device on which this scale trains unless another one is named."""
        return "cuda" if self.needs_gpu else "cpu"

    @property
    def markers(self) -> str:
        """The expression for pytest's `-m` that selects the tests at this scale."""
        return "gpu" if self.needs_gpu else "not gpu"
