"""Whether the settings are those of a report, judged by the numbers that it prints."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labcheck import Arm, Claim, ClaimError, beats
from labcheck.engine import baselines
from labcheck.engine.checks import build_checks
from labcheck.engine.session import Session
from labcheck.engine.store import TrialStore
from labcheck.report import terminal
from labcheck.report.document import document, gather
from labcheck.report.fits import Fit
from tests.helpers.project import TOP, Project, count_lines
from tests.helpers.report import ERROR, RUN, Literal, printing, record_all, run_check, two_arms, visible_text

BETTER = two_arms([1.0] * 16, [2.0] * 16)
FAR = {"a": printing([2.0] * 16, 5.0, 6.0, 7.0, 8.0, 9.0), "b": printing([1.0] * 16)}
"""Arms with five printed numbers, all of which are far from our seeds."""
DOUBT = ": these settings are probably not the report's, so no verdict is NOT_REPRODUCED"
A_BEATS_B, B_BEATS_A = beats("a", "b", ERROR), beats("b", "a", ERROR)


def fit_of(*records: list[dict[str, Any]]) -> Fit:
    """Return the only fit of the records of several claims."""
    (fit,) = gather(record for claim in records for record in claim).fits
    return fit


# counting


def test_repeated_printed_number_counts_once(tmp_path: Path):
    base, other = printing(range(8), 1.5, 1.5, 2.5), printing(range(1, 9), 1.5)
    one = record_all(tmp_path, "one", beats("base", "b", ERROR), base=base, b=other)
    two = record_all(tmp_path, "two", beats("b", "norm", ERROR), norm=base, b=other)
    assert fit_of(one) == fit_of(one, two) == fit_of(two, one) == Fit("literal", "quick", "none", 3, 3)


def test_printed_number_counts_with_most_seeds(tmp_path: Path):
    few = record_all(tmp_path, "one", A_BEATS_B, a=printing([1.0] * 9, 1.0), b=printing([1.0] * 9))
    many = json.loads(json.dumps(few).replace("literal/one", "literal/first"))
    for record in many:
        record["current"]["seeds"] = 10
        for quoted in record["quoted"].values():
            for printed in quoted:
                printed["percentile"] = 0.0
    fits = [fit_of(few), fit_of(many), fit_of(few, many), fit_of(many, few)]
    assert [fit.inside for fit in fits] == [1, 0, 0, 0]
    assert fit_of(few, many).numbers == 1


@pytest.mark.parametrize(
    ("below", "equal", "n", "inside"),
    [(1, 0, 200, 1), (0, 2, 200, 1), (0, 1, 200, 0), (199, 0, 200, 1), (200, 0, 200, 0), (0, 0, 8, 0), (8, 0, 8, 0)],
)
def test_number_is_inside_from_half_percent(tmp_path: Path, below: int, equal: int, n: int, inside: int):
    values = [1.0] * below + [2.0] * equal + [3.0] * (n - below - equal)
    records = record_all(tmp_path, "one", A_BEATS_B, a=printing(values, 2.0), b=printing(values))
    assert fit_of(records) == Fit("literal", "quick", "none", 1, inside)


def test_scales_and_data_sets_have_separate_fits(tmp_path: Path):
    quick = record_all(tmp_path, "one", A_BEATS_B, a=printing(range(8), 1.5), b=printing(range(8)))
    full = json.loads(json.dumps(quick).replace('"scale": "quick"', '"scale": "full"'))
    other = json.loads(json.dumps(quick).replace('"name": "none"', '"name": "real"'))
    fits = gather([*quick, *full, *other]).fits
    assert [(fit.scale, fit.data, fit.numbers) for fit in fits] == [
        ("full", "none", 1), ("quick", "none", 1), ("quick", "real", 1),
    ]  # fmt: skip


def test_claim_without_printed_numbers_has_no_fit(tmp_path: Path):
    assert gather(record_all(tmp_path, "one", A_BEATS_B, **BETTER)).fits == []


def test_fewer_than_eight_seeds_have_no_fit(tmp_path: Path):
    eight, seven = (
        record_all(tmp_path, f"of-{n}", A_BEATS_B, a=printing(range(n), 1.5), b=printing(range(n))) for n in (8, 7)
    )
    assert fit_of(eight) == fit_of(eight, seven)
    assert gather(seven).fits == []


def test_numbers_of_replay_have_no_fit(tmp_path: Path):
    once = printing(range(8), 1.5)
    again = replace(once, replay=True)
    results = gather(record_all(tmp_path, "one", A_BEATS_B, a=again, b=printing(range(8), 2.5, 3.5)))
    assert [fit.numbers for fit in results.fits] == [2]
    arms = document(results, RUN)["claims"][0]["arms"]
    assert [(arm["replay"], len(arm["quoted"])) for arm in arms] == [(True, 1), (False, 2)]


def test_numbers_on_stand_in_data_have_no_fit(tmp_path: Path):
    records = record_all(tmp_path, "one", A_BEATS_B, **FAR)
    stand_ins = json.loads(json.dumps(records).replace('"stand_in": false', '"stand_in": true'))
    assert stand_ins != records
    real, stand_in = gather(records), gather(stand_ins)
    assert (real.claims[0].verdict, stand_in.claims[0].verdict) == ("INCONCLUSIVE", "NOT_REPRODUCED")
    assert (len(real.fits), stand_in.fits) == (1, [])
    assert len(stand_in.claims[0].quoted["a"]) == 5


def test_numbers_are_quoted_at_comparable_scales_only(tmp_path: Path):
    claim = Claim(
        id="literal/one", statement="", citation="", lab=Literal, arms={"a": printing(range(8), 1.5), "b": Arm()},
        relations=[A_BEATS_B], seeds={"quick": 4, "full": 4}, comparable=["full"],
    )  # fmt: skip
    claim.validate()
    session = Session(TrialStore(tmp_path), tmp_path / "none", device="cpu", update=True)
    specs = build_checks(claim)
    arms = {spec.scale: run_check(spec, session) for spec in specs if spec.name.startswith("arm[a")}
    assert {scale: len(result.quoted["a"]) for scale, result in arms.items()} == {"quick": 0, "full": 1}
    relations = [run_check(spec, session) for spec in specs if spec.name.startswith("relation")]
    assert [result.judged[A_BEATS_B.name]["terms"][0]["quoted"] for result in relations] == [[], [1.5]]


@pytest.mark.parametrize("comparable", ["full", ["half"], [1]])
def test_unknown_comparable_scale_is_refused(comparable: Any):
    claim = Claim(
        id="literal/one", statement="", citation="", lab=Literal, arms={"a": Arm(), "b": Arm()},
        relations=[A_BEATS_B], comparable=comparable,
    )  # fmt: skip
    with pytest.raises(ClaimError, match=r"^literal/one: comparable must be a list of the scales quick and full, got"):
        claim.validate()


# doubt


@pytest.mark.parametrize(
    ("numbers", "inside", "doubted"),
    [(5, 2, True), (5, 3, False), (5, 0, True), (4, 0, False), (6, 3, False), (6, 2, True), (1, 0, False)],
)
def test_settings_are_doubted_if_most_of_five_lie_outside(numbers: int, inside: int, doubted: bool):
    fit = Fit("trig", "quick", "drawn", numbers, inside)
    assert fit.doubted is doubted
    text = f"trig: {inside} of {numbers} printed numbers are between the 0.5th and 99.5th percentiles of our seeds"
    assert str(fit) == text + DOUBT * doubted


def test_doubted_settings_refute_no_claim_of_lab(tmp_path: Path):
    records = record_all(tmp_path, "one", A_BEATS_B, B_BEATS_A, **FAR)
    other = record_all(tmp_path, "two", B_BEATS_A, **BETTER)
    results = gather([*records, *other])
    one, two = results.claims
    report = document(results, RUN)
    withdrawn, unchanged = report["claims"][0]["relations"]
    assert (one.verdict, one.decisive) == ("INCONCLUSIVE", "a beats b on error")
    assert (withdrawn["verdict"], withdrawn["tag"], withdrawn["seeds_to_decide"], withdrawn["holds"]) == (
        "INCONCLUSIVE", "in doubt", None, 0,
    )  # fmt: skip
    assert (unchanged["verdict"], unchanged["tag"]) == ("REPRODUCED", "")
    assert [judged["tag"] for judged in two.judged.values()] == ["in doubt"]  # another claim of that lab
    assert report["fits"] == [
        {"lab": "literal", "scale": "quick", "data": "none", "numbers": 5, "inside": 0, "doubted": True}
    ]
    lines = terminal.table(results.claims)
    assert lines[1].split()[1:5] == ["INCONCLUSIVE", "1", "/", "0"]
    assert lines[2].startswith("> INCONCLUSIVE (in doubt)      0/16  a beats b on error; ours 2 : 1")
    assert not any("NOT_REPRODUCED" in line for line in lines)


def test_doubt_changes_no_result_that_baselines_store(tmp_path: Path):
    (result,) = gather(record_all(tmp_path, "one", A_BEATS_B, B_BEATS_A, **FAR)).claims
    assert {name: (judged["verdict"], judged["tag"]) for name, judged in result.current.relations.items()} == {
        "a beats b on error": ("NOT_REPRODUCED", "reversed"), "b beats a on error": ("REPRODUCED", ""),
    }  # fmt: skip


def test_four_numbers_outside_leave_verdict(tmp_path: Path):
    few = {**FAR, "a": printing([2.0] * 16, 5.0, 6.0, 7.0, 8.0)}
    (result,) = gather(record_all(tmp_path, "one", A_BEATS_B, **few)).claims
    assert result.verdict == "NOT_REPRODUCED"


FIVE = '{"low": Arm({"level": 1.0}, {"text": {ERROR: 5.0, ACCURACY: 0.9}, "Table 2": {ERROR: 6.0, ACCURACY: 0.95}}), '
FIVE += '"top": Arm({"level": 3.0}, {"text": {ERROR: 9.0}})}'


@pytest.mark.slow
def test_session_in_doubt_refutes_in_baseline_only(project: Project):
    arms = '{"low": Arm({"level": 1.0}), "top": Arm({"level": 3.0})}'
    assert arms in TOP
    project.write("test_top.py", TOP.replace(arms, FIVE))
    text = f"toy: 0 of 5 printed numbers are between the 0.5th and 99.5th percentiles of our seeds{DOUBT}"
    for options in (["--claims-update", "first"], []):
        result = project.run("test_top.py", "--claims-report", "out", *options)
        assert count_lines(result, text) == 1
        assert count_lines(result, "> INCONCLUSIVE (in doubt)      0/10  top beats low on error; ours ") == 1
    result.assert_outcomes(passed=4)
    report = project.report()
    (top,) = report["claims"]
    assert [relation["tag"] for relation in top["relations"]] == ["in doubt", ""]
    assert (top["verdict"], top["decisive"]) == ("INCONCLUSIVE", "top beats low on error")
    assert report["fits"] == [
        {"lab": "toy", "scale": "quick", "data": "drawn", "numbers": 5, "inside": 0, "doubted": True}
    ]
    stored = baselines.read(project.file("top")).relations["top beats low on error"]
    assert (stored["verdict"], stored["tag"]) == ("NOT_REPRODUCED", "reversed")
    page = visible_text((project.folder / "out" / "report.html").read_text())
    assert f"0 of 5 printed numbers are between the 0.5th and 99.5th percentiles of our seeds{DOUBT}" in page
    assert "our settings are probably not the report's, and cannot refute it" in page
    assert "NOT_REPRODUCED" not in page.partition("Run it again")[0].rpartition("toy/top")[2]
