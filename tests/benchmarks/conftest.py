"""Benchmarks take minutes and say nothing about correctness: they run only when asked for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--benchmark-only"):
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="a benchmark: run it with --benchmark-only"))


@pytest.fixture(autouse=True)
def _pinned() -> Iterator[None]:
    """One thread, as in training."""
    from labcheck.engine import environment

    with environment.deterministic():
        yield


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """What stands in the head of pytest-benchmark's JSON."""
    import torch

    machine_info["torch"] = torch.__version__
    machine_info["gpu"] = torch.cuda.get_device_name() if torch.cuda.is_available() else None
