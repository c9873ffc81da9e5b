"""The commands `labcheck render` and `labcheck compare`."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labcheck.__main__ import main
from tests.helpers.project import Recorded

Report = dict[str, Any]
Change = Callable[[Report], object]
"""A function that changes a report in place."""
Compare = Callable[[Change], tuple[int, list[str]]]
"""A function that compares a report with a changed copy, and returns exit status and output."""
UNCHANGED = "no verdict and no arm has changed"


def save(report: Any, file: Path) -> str:
    """Write a report, or a text, and return the path."""
    file.write_text(report if isinstance(report, str) else json.dumps(report))
    return str(file)


@pytest.fixture
def compare(alone: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Compare:
    """Return a function that compares the report of the project with a changed copy."""

    def run(change: Change) -> tuple[int, list[str]]:
        changed = copy.deepcopy(alone.report)
        change(changed)
        code = main(["compare", save(alone.report, tmp_path / "a.json"), save(changed, tmp_path / "b.json")])
        return code, capsys.readouterr().out.splitlines()

    return run


def order(report: Report) -> Report:
    """Return the entry of the claim toy/order."""
    claim: Report = report["claims"][0]
    return claim


# compare


def test_reports_that_differ_in_times_are_equal(compare: Compare) -> None:
    assert compare(lambda report: report["times"].update(seconds=99)) == (0, [UNCHANGED])


def test_shifted_median_is_listed(compare: Compare) -> None:
    def louder(report: Report) -> None:
        errors = order(report)["arms"][0]["metrics"]["error"]
        errors[:] = [10 * error for error in errors]

    code, (line,) = compare(louder)
    assert code == 1
    assert line.startswith("toy/order (quick on drawn): arm low: error ")
    old, new = map(float, line.rpartition("error ")[2].split(" → "))
    assert new == pytest.approx(10 * old, rel=1e-3)


def test_metric_of_one_report_is_listed(compare: Compare) -> None:
    def other(report: Report) -> None:
        metrics = order(report)["arms"][1]["metrics"]
        metrics.update(loss=metrics.pop("error"))

    place = "toy/order (quick on drawn): arm high: "
    assert compare(other) == (1, [f"{place}error only in the first", f"{place}loss only in the second"])


def test_metrics_are_listed_by_name(compare: Compare) -> None:
    names = [f"{letter}_error" for letter in "hgfedcba"]
    place = "toy/order (quick on drawn): arm high: "
    result = compare(lambda report: order(report)["arms"][1]["metrics"].update({name: [None] for name in names}))
    assert result == (1, [f"{place}{name} only in the second" for name in sorted(names)])


def test_rounding_is_no_change(compare: Compare) -> None:
    def rounded(report: Report) -> None:
        errors = order(report)["arms"][0]["metrics"]["error"]
        errors[:] = [error * 1.001 for error in errors]

    assert compare(rounded) == (0, [UNCHANGED])


def test_non_finite_seeds_are_listed(compare: Compare) -> None:
    code, (line,) = compare(lambda report: order(report)["arms"][0]["metrics"].update(error=[None] * 12))
    assert (code, line.endswith("→ not finite (12 of 12 seeds not finite)")) == (1, True)


def test_changed_verdict_is_listed_with_relation(compare: Compare) -> None:
    def undecided(report: Report) -> None:
        order(report)["verdict"] = None
        order(report)["relations"][0].update(verdict="INCONCLUSIVE", holds=9)

    code, (claim, relation) = compare(undecided)
    assert (code, claim) == (1, "toy/order (quick on drawn): REPRODUCED → INCOMPLETE")
    medians = "median 1.04 : 2.09"
    assert relation == (
        "toy/order (quick on drawn): low beats high on error: "
        f"REPRODUCED 12/12, {medians} → INCONCLUSIVE 9/12, {medians}"
    )


def test_claim_and_arm_of_one_report_are_listed(compare: Compare) -> None:
    def less(report: Report) -> None:
        order(report)["arms"].pop()
        report["claims"].pop()

    assert compare(less) == (
        1,
        ["only in the first: toy/top (quick on drawn)", "toy/order (quick on drawn): arm high: only in the first"],
    )


@pytest.mark.parametrize(
    ("key", "value"), [("scale", "full"), ("data", {"name": "real", "digest": "1", "stand_in": False})]
)
def test_claim_is_compared_across_scales_and_data(compare: Compare, key: str, value: Any) -> None:
    def elsewhere(report: Report) -> None:
        order(report).update({key: value, "verdict": "NOT_REPRODUCED"})

    places = "quick on drawn → full on drawn" if key == "scale" else "quick on drawn → quick on real"
    assert compare(elsewhere) == (1, [f"toy/order ({places}): REPRODUCED → NOT_REPRODUCED"])


def test_same_scale_precedes_another_one(compare: Compare) -> None:
    def both(report: Report) -> None:
        report["claims"].append(order(report) | {"scale": "full"})

    assert compare(both) == (1, ["only in the second: toy/order (full on drawn)"])


def test_environment_is_listed_first_and_is_no_change(compare: Compare) -> None:
    def elsewhere(report: Report) -> None:
        for claim in report["claims"]:
            claim["environment"]["torch"] = "9.9"
            claim["overridden"]["toy.noise"] = 0.5

    code, (torch, noise, nothing) = compare(elsewhere)
    assert (code, noise, nothing) == (0, "toy.noise: none → 0.5", UNCHANGED)
    assert torch.startswith("torch: ")
    assert torch.endswith(" → 9.9")


# render


@pytest.mark.slow
def test_page_is_rendered_beside_report_or_in_folder(
    alone: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = save(alone.report, tmp_path / "report.json")
    other = tmp_path / "new" / "one"
    for arguments, folder in ([file], tmp_path), ([file, str(other)], other):
        assert main(["render", *arguments]) == 0
        assert capsys.readouterr().out == f"{folder / 'report.html'}\n"
        assert "toy/order" in (folder / "report.html").read_text(encoding="utf-8")


# errors

BAD = {
    "no JSON": "{",
    "a list": "[]",
    "something else": '{"a": 1}',
    "an older schema": '{"schema": 1, "claims": []}',
    "half a report": '{"schema": 5, "claims": [{"id": "a/b"}]}',
    "no text": "\x00\x01",
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_invalid_report_is_refused_in_one_line(
    alone: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str], bad: str
) -> None:
    good, file = save(alone.report, tmp_path / "good.json"), save(bad, tmp_path / "bad.json")
    for arguments in (["render", file], ["compare", file, good], ["compare", good, file]):
        assert main(arguments) == 2
        out, error = capsys.readouterr()
        assert (out, error.count("\n"), error[:10]) == ("", 1, "labcheck: ")
        assert file in error
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("key", ["statement", "notes", "environment", "relations", "arms", "data", "seeds", "curves"])
def test_incomplete_report_is_refused_in_one_line(
    alone: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    report = json.loads(json.dumps(alone.report))
    for part in (report, *report["claims"], *(arm for claim in report["claims"] for arm in claim["arms"])):
        part.pop(key, None)
    assert main(["render", save(report, tmp_path / "bad.json")]) == 2
    out, error = capsys.readouterr()
    assert (out, error.count("\n")) == ("", 1)
    assert "not a complete report" in error


def test_missing_and_unwritable_files_are_named(
    alone: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", str(tmp_path / "none.json")]) == 2
    assert capsys.readouterr().err == f"labcheck: {tmp_path / 'none.json'}: No such file or directory\n"
    file = save(alone.report, tmp_path / "report.json")
    assert main(["render", file, file]) == 2
    assert capsys.readouterr().err.startswith(f"labcheck: cannot write {file}")


@pytest.mark.parametrize(("arguments", "code"), [(["--help"], 0), ([], 2), (["render"], 2), (["dance"], 2)])
def test_usage_is_printed(arguments: list[str], code: int) -> None:
    done = subprocess.run([sys.executable, "-m", "labcheck", *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == code
    assert "usage: labcheck" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
