"""Configuration of all test runs in this repository."""

import pytest

pytest_plugins = ["pytester"]


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Let idle workers take tests from busy ones, since some tests train for minutes and most take no time.

    Raises:
        pytest.UsageError: Benchmarks would run in parallel.
    """
    if not getattr(config.option, "numprocesses", None):
        return
    if getattr(config.option, "benchmark_only", False):
        raise pytest.UsageError("benchmarks must run one at a time; leave out -n")
    if config.option.dist == "no":
        config.option.dist = "worksteal"
