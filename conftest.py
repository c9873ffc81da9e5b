"""Settings of every test run of this repository."""

import pytest

pytest_plugins = ["pytester"]


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Some tests train for minutes and most for no time: an idle worker of `-n` takes over from a busy one.

    Raises:
        pytest.UsageError: benchmarks shall share the machine.
    """
    if not getattr(config.option, "numprocesses", None):
        return
    if getattr(config.option, "benchmark_only", False):
        raise pytest.UsageError("benchmarks are timed one at a time: leave out -n")
    if config.option.dist == "no":
        config.option.dist = "worksteal"
