"""Fixtures and selection of benchmarks, which take minutes and run only with --benchmark-only."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip benchmarks unless they are requested, since they do not test correctness."""
    if not config.getoption("--benchmark-only"):
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="a benchmark, which runs only with --benchmark-only"))


@pytest.fixture(autouse=True)
def _deterministic() -> Iterator[None]:
    """Set the state that training depends on, such as one thread."""
    from labcheck.engine import environment

    with environment.deterministic():
        yield


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Add torch and the GPU to the machine info in pytest-benchmark's JSON."""
    import torch

    machine_info["torch"] = torch.__version__
    machine_info["gpu"] = torch.cuda.get_device_name() if torch.cuda.is_available() else None
