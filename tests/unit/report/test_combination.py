"""The command `labcheck combine`: the evidence of different seeds multiplies."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labcheck import Verdict
from labcheck.__main__ import main
from labcheck.core.verdicts import judge, judge_number
from labcheck.report.combination import combine
from tests.helpers.project import Recorded

Report = dict[str, Any]
Change = Callable[[Report], object]


def later(report: Report, change: Change = lambda claim: None) -> Report:
    """Return a report about the seeds after those of another one, with the first claim changed."""
    changed = copy.deepcopy(report)
    for claim in changed["claims"]:
        claim["first_seed"] = claim["seeds"]
    change(changed["claims"][0])
    return changed


def update(**counts: int) -> Change:
    """Return a change of the counts of a claim's first relation."""
    return lambda claim: claim["relations"][0].update(counts)


def test_counts_add_and_verdict_is_judged_anew(alone: Recorded):
    first, second = later(alone.report, update(holds=8)), alone.report
    results, problems = combine([first, second])
    assert problems == []
    order = results[0]
    judged = order.judged["low beats high on error"]
    assert (judged["holds"], judged["n"], order.current.seeds) == (8 + 12, 24, 24)
    assert judged["verdict"] == judge(20, 0, 24).verdict == Verdict.REPRODUCED
    assert judge(8, 0, 12).verdict == Verdict.INCONCLUSIVE


def test_evidence_multiplies(alone: Recorded):
    results, _ = combine([alone.report, later(alone.report)])
    [judged] = results[0].judged.values()
    [part] = alone.report["claims"][0]["relations"]
    assert judged["log10_for"] == pytest.approx(2 * part["log10_for"])


def test_number_of_relations_is_that_of_claim(alone: Recorded):
    """A report may lack a relation that was deselected: 20 m is 40 for the other one of toy/top."""
    first, second = copy.deepcopy(alone.report), later(alone.report)
    for report in (first, second):
        report["claims"][1]["relations"].pop()
        report["claims"][1]["relations"][0].update(holds=5 if report is first else 6, ties=0, n=11)
    [judged] = combine([first, second])[0][1].judged.values()
    assert 20 <= 10 ** judged["log10_against"] < 40
    assert judged["verdict"] == judge(11, 0, 22, 2).verdict == Verdict.INCONCLUSIVE


def test_claim_of_one_report_is_not_combined(alone: Recorded):
    second = later(alone.report)
    second["claims"].pop()
    results, problems = combine([alone.report, second])
    assert [result.current.claim for result in results] == ["toy/order"]
    assert problems == ["toy/top (quick): not combined: only one report has it"]


def test_printed_number_is_judged_over_all_seeds(alone: Recorded):
    def printed(claim: Report) -> None:
        claim["relations"][0] = {
            **{key: claim["relations"][0][key] for key in ("name", "terms", "relations")},
            "kind": "number", "below": 1, "equal": 1, "n": 6, "best_of": 2,
        }  # fmt: skip

    first, second = copy.deepcopy(alone.report), later(alone.report)
    for report in (first, second):
        printed(report["claims"][0])
    [judged] = combine([first, second])[0][0].judged.values()
    assert judged["p"] == judge_number(2, 2, 12).p
    assert judged["seeds_to_decide"] == 2 * 19  # in groups of two seeds


def test_medians_are_those_of_all_seeds(alone: Recorded):
    def louder(claim: Report) -> None:
        errors = claim["arms"][0]["metrics"]["error"]
        errors[:] = [100.0] * len(errors)

    results, _ = combine([alone.report, later(alone.report, louder)])
    [judged] = results[0].judged.values()
    errors = sorted([*alone.report["claims"][0]["arms"][0]["metrics"]["error"], *[100.0] * 12])
    assert judged["terms"][0]["median"] == pytest.approx((errors[11] + errors[12]) / 2)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda claim: claim.update(first_seed=11), "both reports have seeds 11 to 11; run one of them again with "),
        (lambda claim: claim.update(first_seed=0), "both reports have seeds 0 to 11; run one of them again with "),
        (lambda claim: claim["data"].update(digest="another"), "the data differ between the reports"),
        (lambda claim: claim.update(overridden={"toy.noise": 0.2}), "overridden settings differ between the reports"),
        (lambda claim: claim["arms"][0]["settings"].update(level=9), "the settings of arms differ between the reports"),
        (lambda claim: claim["arms"].pop(), "the settings of arms differ between the reports"),
        (lambda claim: claim["relations"].clear(), "relations differ between the reports"),
    ],
)
def test_unlike_claims_are_not_combined(alone: Recorded, change: Change, reason: str):
    results, problems = combine([alone.report, later(alone.report, change)])
    assert [result.current.claim for result in results] == ["toy/top"]
    [problem] = problems
    assert problem.startswith(f"toy/order (quick): not combined: {reason}")


def test_overlapping_seeds_have_remedy(alone: Recorded):
    _, problems = combine([alone.report, alone.report])
    assert problems[0].endswith("both reports have seeds 0 to 11; run one of them again with --claims-seeds 12-23")


def test_command_prints_table(alone: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    for file, report in zip(files, [alone.report, later(alone.report)], strict=True):
        file.write_text(json.dumps(report))
    assert main(["combine", *map(str, files)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["toy/order", "REPRODUCED", "1", "/", "0", "/", "0", "24", "drawn"]
    assert "24/24  low beats high on error; ours " in lines[2]
    assert main(["combine", str(files[0])]) == 1
    assert "toy/order (quick): not combined: only one report has it" in capsys.readouterr().out


def test_command_refuses_incomplete_report(alone: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    broken = later(alone.report, lambda claim: claim["relations"][0].pop("holds"))
    for name, report in (("a", alone.report), ("b", broken)):
        (tmp_path / name).write_text(json.dumps(report))
    assert main(["combine", str(tmp_path / "a"), str(tmp_path / "b")]) == 2
    assert "not complete reports (KeyError: 'holds')" in capsys.readouterr().err
