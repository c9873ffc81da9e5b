"""Fixtures of unit tests."""

import pytest
import scipy.stats  # noqa: F401 - pytester unloads modules that its runs import first, and scipy can be loaded only once

import labcheck.engine.checks
import labcheck.report.page
import labcheck.report.terminal  # noqa: F401
from tests.helpers.project import Project, Recorded, folder_of_all_workers, record


@pytest.fixture(autouse=True)
def _not_on_a_build_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the variables of build servers, on which pytest prints failures in full and again in its summary."""
    for name in ("CI", "BUILD_NUMBER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a new project."""
    monkeypatch.delenv("LABCHECK_DATA", raising=False)
    return Project(pytester, monkeypatch)


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Return the result of the whole project in one process."""
    return record(folder_of_all_workers(tmp_path_factory) / "alone", "0")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Return the result of the whole project with two workers."""
    return record(folder_of_all_workers(tmp_path_factory) / "shared", "2")
