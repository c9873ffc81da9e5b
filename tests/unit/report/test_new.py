"""The command `labcheck new`: the module that it writes runs, and nothing is overwritten."""

from pathlib import Path

import pytest

from labcheck.__main__ import main
from labcheck.report import terminal


@pytest.fixture
def here(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty working directory outside of any project."""
    monkeypatch.delenv("LABCHECK_DATA", raising=False)
    return pytester.path


def test_module_is_written_and_runs(here: Path, pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]):
    assert main(["new", "my-lab"]) == 0
    assert "test_my_lab.py and pytest.ini written" in capsys.readouterr().out
    assert pytester.runpytest_inprocess("--claims-update", "a first look").ret == pytest.ExitCode.TESTS_FAILED
    result = pytester.runpytest_inprocess("--strict-markers")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["my-lab/my-lab  REPRODUCED*", "*8/8  0.5 beats 0.05 on slope_error*"])
    assert all(len(line) <= terminal.WIDTH for line in (here / "test_my_lab.py").read_text().splitlines())


def test_file_that_exists_is_kept(here: Path, capsys: pytest.CaptureFixture[str]):
    (here / "tox.ini").write_text("[pytest]\n")
    (here / "test_x.py").write_text("mine")
    assert main(["new", "x"]) == 2
    assert capsys.readouterr().err == "labcheck: test_x.py exists; choose another name\n"
    assert (here / "test_x.py").read_text() == "mine"
    assert main(["new", "y"]) == 0
    assert not (here / "pytest.ini").exists()


def test_name_must_be_valid(here: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["new", "a/b"]) == 2
    assert "a name must consist of letters, digits" in capsys.readouterr().err
    assert list(here.iterdir()) == []
