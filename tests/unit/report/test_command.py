"""`python -m labcheck`: the page of a report once more, and two reports beside each other."""

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


def save(report: Any, file: Path) -> str:
    file.write_text(report if isinstance(report, str) else json.dumps(report))
    return str(file)


@pytest.fixture
def compared(
    alone: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[[Callable[[Report], object]], tuple[int, list[str]]]:
    """The code and the lines of a comparison with a report that was changed."""

    def run(change: Callable[[Report], object]) -> tuple[int, list[str]]:
        changed = copy.deepcopy(alone.report)
        change(changed)
        code = main(["compare", save(alone.report, tmp_path / "a.json"), save(changed, tmp_path / "b.json")])
        return code, capsys.readouterr().out.splitlines()

    return run


Compared = Callable[[Callable[[Report], object]], tuple[int, list[str]]]
NOTHING = "no verdict and no arm has moved"


def order(report: Report) -> Report:
    found: Report = report["claims"][0]
    return found


# compare


def test_equal_reports_have_not_moved(compared: Compared) -> None:
    assert compared(lambda report: report["times"].update(seconds=99)) == (0, [NOTHING])


def test_an_arm_whose_median_moves_is_told(compared: Compared) -> None:
    def louder(report: Report) -> None:
        errors = order(report)["arms"][0]["metrics"]["error"]
        errors[:] = [10 * error for error in errors]

    code, (line,) = compared(louder)
    assert code == 1
    assert line.startswith("toy/order (quick on drawn): arm low: error ")
    old, new = map(float, line.rpartition("error ")[2].split(" → "))
    assert new == pytest.approx(10 * old, rel=1e-3)


def test_a_metric_that_only_one_has_is_told(compared: Compared) -> None:
    def other(report: Report) -> None:
        metrics = order(report)["arms"][1]["metrics"]
        metrics.update(loss=metrics.pop("error"))

    place = "toy/order (quick on drawn): arm high: "
    assert compared(other) == (1, [f"{place}error only in the first", f"{place}loss only in the second"])


def test_metrics_are_told_in_the_order_of_their_names(compared: Compared) -> None:
    names = [f"{letter}_error" for letter in "hgfedcba"]
    place = "toy/order (quick on drawn): arm high: "
    found = compared(lambda report: order(report)["arms"][1]["metrics"].update({name: [None] for name in names}))
    assert found == (1, [f"{place}{name} only in the second" for name in sorted(names)])


def test_what_rounds_otherwise_has_not_moved(compared: Compared) -> None:
    def round_to_float32(report: Report) -> None:
        errors = order(report)["arms"][0]["metrics"]["error"]
        errors[:] = [error * 1.001 for error in errors]

    assert compared(rounded) == (0, [NOTHING])


def test_seeds_that_are_lost_are_told(compared: Compared) -> None:
    code, (line,) = compared(lambda report: order(report)["arms"][0]["metrics"].update(error=[None] * 16))
    assert (code, line.endswith("→ not finite (16 of 16 seeds not finite)")) == (1, True)


def test_a_verdict_that_moves_is_told(compared: Compared) -> None:
    def undecided(report: Report) -> None:
        order(report)["verdict"] = None
        order(report)["relations"][0].update(verdict="INCONCLUSIVE", holds=9)

    code, (claim, relation) = compared(undecided)
    assert (code, claim) == (1, "toy/order (quick on drawn): REPRODUCED → not all measured")
    medians = "median 0.989 : 2.05"
    assert relation == (
        "toy/order (quick on drawn): low beats high on error: "
        f"REPRODUCED 16/16, {medians} → INCONCLUSIVE 9/16, {medians}"
    )


def test_what_only_one_has_is_told(compared: Compared) -> None:
    def less(report: Report) -> None:
        order(report)["arms"].pop()
        report["claims"].pop()

    assert compared(less) == (
        1,
        ["only in the first: toy/top (quick on drawn)", "toy/order (quick on drawn): arm high: only in the first"],
    )


@pytest.mark.parametrize(("key", "value"), [("scale", "full"), ("data", {"name": "real", "digest": "1"})])
def test_a_claim_is_found_at_another_scale_and_on_other_data(compared: Compared, key: str, value: Any) -> None:
    def elsewhere(report: Report) -> None:
        order(report).update({key: value, "verdict": "NOT_REPRODUCED"})

    places = "quick on drawn → full on drawn" if key == "scale" else "quick on drawn → quick on real"
    assert compared(elsewhere) == (1, [f"toy/order ({places}): REPRODUCED → NOT_REPRODUCED"])


def test_another_scale_is_left_alone_where_there_is_the_same(compared: Compared) -> None:
    def both(report: Report) -> None:
        report["claims"].append(order(report) | {"scale": "full"})

    assert compared(both) == (1, ["only in the second: toy/order (full on drawn)"])


def test_another_environment_is_told_first_and_is_no_difference(compared: Compared) -> None:
    def elsewhere(report: Report) -> None:
        for claim in report["claims"]:
            claim["environment"]["torch"] = "9.9"
            claim["overridden"]["toy.noise"] = 0.5

    code, (torch, noise, nothing) = compared(elsewhere)
    assert (code, noise, nothing) == (0, "toy.noise: none → 0.5", NOTHING)
    assert torch.startswith("torch: ")
    assert torch.endswith(" → 9.9")


# render


def test_a_page_is_rendered_beside_its_report_or_elsewhere(
    alone: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = save(alone.report, tmp_path / "report.json")
    for told, folder in ([file], tmp_path), ([file, str(tmp_path / "new" / "one")], tmp_path / "new" / "one"):
        assert main(["render", *told]) == 0
        assert capsys.readouterr().out == f"{folder / 'report.html'}\n"
        assert "toy/order" in (folder / "report.html").read_text(encoding="utf-8")


# what cannot be done

BAD = {
    "no JSON": "{",
    "a list": "[]",
    "something else": '{"a": 1}',
    "an older schema": '{"schema": 1, "claims": []}',
    "half a report": '{"schema": 2, "claims": [{"id": "a/b"}]}',
    "no text": "\x00\x01",
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_report_is_refused_in_a_line(
    alone: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str], bad: str
) -> None:
    good, file = save(alone.report, tmp_path / "good.json"), save(bad, tmp_path / "bad.json")
    for arguments in (["render", file], ["compare", file, good], ["compare", good, file]):
        assert main(arguments) == 2
        out, told = capsys.readouterr()
        assert (out, told.count("\n"), told[:10]) == ("", 1, "labcheck: ")
        assert file in told
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("gone", ["statement", "notes", "environment", "relations", "arms", "data", "seeds", "curves"])
def test_a_report_with_something_missing_is_refused_in_a_line(
    alone: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str], gone: str
) -> None:
    report = json.loads(json.dumps(alone.report))
    for part in (report, *report["claims"], *(arm for claim in report["claims"] for arm in claim["arms"])):
        part.pop(gone, None)
    assert main(["render", save(report, tmp_path / "bad.json")]) == 2
    out, told = capsys.readouterr()
    assert (out, told.count("\n")) == ("", 1)
    assert "not a whole report" in told


def test_a_file_that_is_not_there_or_cannot_be_written_is_told_in_a_line(
    alone: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", str(tmp_path / "none.json")]) == 2
    assert capsys.readouterr().err == f"labcheck: {tmp_path / 'none.json'}: No such file or directory\n"
    file = save(alone.report, tmp_path / "report.json")
    assert main(["render", file, file]) == 2
    assert capsys.readouterr().err.startswith(f"labcheck: cannot write {file}")


@pytest.mark.parametrize(("arguments", "code"), [(["--help"], 0), ([], 2), (["render"], 2), (["dance"], 2)])
def test_the_command_explains_itself(arguments: list[str], code: int) -> None:
    done = subprocess.run([sys.executable, "-m", "labcheck", *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == code
    assert "usage: python -m labcheck" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
