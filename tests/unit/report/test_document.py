"""report.json, which is the same however its claims were run."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from labcheck import Arm, Claim, Metric, beats, epochs_to, geometric_mean, mean_rebound
from labcheck.engine.checks import build_checks
from labcheck.engine.session import Session
from labcheck.engine.store import TrialStore
from labcheck.report.document import document, gather, write
from tests.helpers.project import ORDER, Project, Recorded, count_lines, limited_file_size
from tests.helpers.report import ACCURACY, ERROR, ONE, RUN, TWO, Literal, record_one, two_arms, without_times

NAN = float("nan")
RELATION = {
    *("name", "kind", "verdict", "tag", "holds", "ties", "n", "log10_for", "log10_against", "relations"),
    *("lower", "upper", "effect", "seeds_to_decide", "terms"),
}
BETTER = two_arms([1.0] * 16, [2.0] * 16)


# the record of one check


@pytest.mark.parametrize(
    ("metric", "quoted", "values", "percentile"),
    [
        (ERROR, 0.5, (1.0, 2.0, 3.0, 4.0), 0.0),
        (ERROR, 1.0, (1.0, 2.0, 3.0, 4.0), 12.5),
        (ERROR, 2.0, (1.0, 2.0, 2.0, 4.0), 50.0),
        (ERROR, 2.5, (1.0, 2.0, 3.0), 66.7),
        (ERROR, 9.0, (1.0, 2.0, 3.0, 4.0), 100.0),
        (ERROR, 9.0, (1.0, 2.0, 3.0, NAN), 75.0),
        (ERROR, NAN, (1.0, 2.0, 3.0, 4.0), 100.0),
        (ERROR, NAN, (1.0, NAN, 3.0, np.inf), 75.0),
        (ACCURACY, 2.0, (1.0, 2.0, 3.0, NAN), 62.5),
        (ACCURACY, NAN, (1.0, 2.0, 3.0, 4.0), 0.0),
        (ACCURACY, NAN, (1.0, NAN, 3.0, NAN), 25.0),
    ],
)
def test_quoted_number_has_percentile(
    tmp_path: Path, metric: Metric, quoted: float, values: Sequence[float], percentile: float
):
    a = Arm({"values": values}, {"Table 1": {metric: quoted}})
    record = record_one(tmp_path, "arm[a", {"a": a, "b": Arm()}, seeds=len(values))
    value = None if np.isnan(quoted) else quoted
    assert record["quoted"] == {
        "a": [{"metric": str(metric), "value": value, "where": "Table 1", "percentile": percentile}]
    }


def test_quoted_number_equal_to_all_seeds_is_at_percentile_50(tmp_path: Path):
    """0.1 is another number in float32, to which results are rounded."""
    arm = Arm({"values": (0.1, 0.1)}, {"text": {ERROR: 0.1}})
    (quoted,) = record_one(tmp_path, "arm[a", {"a": arm, "b": arm}, seeds=2)["quoted"]["a"]
    assert quoted["percentile"] == 50


def test_arm_has_percentile_for_each_quoted_number(tmp_path: Path):
    a = Arm({}, {"Table 1": {ERROR: 1.0, ACCURACY: 2.0}, "text": {ERROR: 3.0}})
    quoted = record_one(tmp_path, "arm[a", {"a": a, "b": Arm()})["quoted"]["a"]
    assert [(quote["where"], quote["metric"], quote["value"], quote["percentile"]) for quote in quoted] == [
        ("Table 1", "error", 1.0, 12.5), ("Table 1", "accuracy", 2.0, 37.5), ("text", "error", 3.0, 62.5),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([1] * 16, [2] * 16, {"verdict": "REPRODUCED", "tag": "", "holds": 16, "ties": 0, "seeds_to_decide": None}),
        ([2] * 16, [1] * 16, {"verdict": "NOT_REPRODUCED", "tag": "reversed", "holds": 0, "ties": 0}),
        ([1] * 16, [1] * 16, {"verdict": "INCONCLUSIVE", "tag": "", "holds": 0, "ties": 16, "seeds_to_decide": None}),
        (
            [1] * 13 + [3] * 3,
            [2] * 16,
            {
                "verdict": "REPRODUCED",
                "tag": "",
                "holds": 13,
                "lower": 0.450736,
                "relations": 2,
                "log10_for": 1.386096,
                "log10_against": -1.386096,
            },
        ),
        ([1] * 11 + [3] * 5, [2] * 16, {"verdict": "INCONCLUSIVE", "holds": 11, "ties": 0}),
        ([NAN] * 2 + [1] * 14, [NAN, 2] * 8, {"verdict": "REPRODUCED", "holds": 14, "ties": 1}),
    ],
)
def test_relation_is_judged(tmp_path: Path, a: list[float], b: list[float], expected: dict[str, Any]):
    (judged,) = record_one(tmp_path, ONE, two_arms(a, b), seeds=16)["judged"].values()
    for key, value in expected.items():
        assert judged[key] == (pytest.approx(value, abs=1e-6) if isinstance(value, float) else value), key
    assert 0 <= judged["lower"] <= judged["holds"] / judged["n"] <= judged["upper"] <= 1


def test_relation_has_effect_and_medians(tmp_path: Path):
    (judged,) = record_one(tmp_path, ONE, BETTER, seeds=16)["judged"].values()
    assert judged["effect"] == {"kind": "ratio", "median": 0.5, "low": 0.5, "high": 0.5}
    assert judged["terms"] == [
        {"arm": "a", "metric": "error", "median": 1.0, "quoted": []},
        {"arm": "b", "metric": "error", "median": 2.0, "quoted": []},
    ]


# the results of a run


def test_order_of_records_changes_nothing(tmp_path: Path):
    records = [
        record_one(tmp_path, subject, BETTER, 16, name)
        for name in ("two", "one")
        for subject in ("arm[b", TWO, ONE, "arm[a")
    ]
    report = document(gather(records), RUN)
    assert document(gather(records[::-1]), RUN) == report
    assert [claim["id"] for claim in report["claims"]] == ["literal/one", "literal/two"]
    for claim in report["claims"]:
        assert [arm["name"] for arm in claim["arms"]] == ["a", "b"]
        assert [relation["name"] for relation in claim["relations"]] == ["a beats b on error", "b beats a on error"]


@pytest.mark.parametrize(
    ("measured", "verdict", "missing"),
    [
        (["arm[a"], None, ["b", ONE, TWO]),
        ([ONE, "arm[a", "arm[b"], None, [TWO]),
        ([TWO], "NOT_REPRODUCED", ["a", "b", ONE]),
        ([ONE, TWO], "NOT_REPRODUCED", ["a", "b"]),
    ],
)
def test_claim_has_no_verdict_until_decided(
    tmp_path: Path, measured: list[str], verdict: str | None, missing: list[str]
):
    records = [record_one(tmp_path, subject, BETTER, 16) for subject in measured]
    (claim,) = document(gather(records), RUN)["claims"]
    assert (claim["verdict"], claim["missing"]) == (verdict, [name.removeprefix("relation[") for name in missing])


@pytest.mark.parametrize(
    ("one", "two", "decisive"),
    [
        (("REPRODUCED", 14), ("INCONCLUSIVE", 15), "two"),
        (("NOT_REPRODUCED", 11), ("INCONCLUSIVE", 3), "one"),
        (("NOT_REPRODUCED", 5), ("NOT_REPRODUCED", 3), "two"),
        (("REPRODUCED", 15), ("REPRODUCED", 16), "one"),
    ],
)
def test_worst_relation_is_decisive(tmp_path: Path, one: tuple[str, int], two: tuple[str, int], decisive: str):
    (result,) = gather([record_one(tmp_path, ONE, BETTER, 16)]).claims
    result.judged = {
        name: {"verdict": verdict, "holds": holds, "n": 16}
        for name, (verdict, holds) in {"one": one, "two": two}.items()
    }
    assert result.decisive == decisive


def test_printed_number_is_ranked_by_p_value(tmp_path: Path):
    (result,) = gather([record_one(tmp_path, ONE, BETTER, 16)]).claims
    result.judged = {
        "share": {"verdict": "NOT_REPRODUCED", "holds": 1, "n": 16},
        "number": {"verdict": "NOT_REPRODUCED", "p": 0.02, "n": 99},
    }
    assert result.decisive == "number"
    result.judged["number"]["p"] = 0.07
    assert result.decisive == "share"


def test_claim_without_judged_relation_has_no_decisive_one(tmp_path: Path):
    (result,) = gather([record_one(tmp_path, "arm[a", BETTER)]).claims
    assert result.decisive is None


# metrics


class Measured(Literal):
    """A lab with units."""

    name: ClassVar[str] = "measured"
    units: ClassVar = {"mse": "(1000 $)²", "loss": "$", "accuracy": "share"}


@pytest.mark.parametrize(
    ("metric", "unit", "curve"),
    [
        (Metric("test_mse", higher_is_better=False), "(1000 $)²", "test_mse"),
        (Metric("val_mse", higher_is_better=False, curve="val_loss"), "(1000 $)²", "val_loss"),
        (Metric("test_mse", higher_is_better=False, unit="kg"), "kg", "test_mse"),
        (geometric_mean("batch_loss", -7, rising=False), "$", ""),
        (epochs_to("val_loss", below=20), "epochs", ""),
        (mean_rebound("val_loss", rising=False), "mean ln ratio per record", ""),
        (Metric("test_r2", higher_is_better=True), "", "test_r2"),
        (Metric("test_accuracy_3", higher_is_better=True), "share", "test_accuracy_3"),
    ],
    ids=lambda value: str(value),
)
def test_metric_has_unit_and_curve(tmp_path: Path, metric: Metric, unit: str, curve: str):
    claim = Claim(
        id="measured/one", statement="", citation="", lab=Measured, arms={"a": Arm(), "b": Arm()},
        relations=[beats("a", "b", metric)], seeds={"quick": 4},
    )  # fmt: skip
    check = build_checks(claim)[0].resolve(Session(TrialStore(tmp_path), tmp_path / "none"))
    entry = check.experiment.describe()["metrics"][str(metric)]
    assert (entry["unit"], entry["curve"]) == (unit, curve)


# the file


def test_report_replaces_previous_one(tmp_path: Path):
    file = write({"a": 1}, tmp_path / "new" / "folder")
    assert file == write({"größe": None}, tmp_path / "new" / "folder")
    assert json.loads(file.read_text(encoding="utf-8")) == {"größe": None}
    assert list(file.parent.iterdir()) == [file]


def test_report_on_full_disk_leaves_no_file(tmp_path: Path):
    with limited_file_size(10_000), pytest.raises(OSError, match="File too large"):
        write({"long": "." * 20_000}, tmp_path)
    assert list(tmp_path.iterdir()) == []


# the report of a session


@pytest.mark.slow
def test_workers_report_same_as_one_process(alone: Recorded, shared: Recorded):
    assert without_times(shared.report) == without_times(alone.report)


@pytest.mark.slow
def test_only_times_contain_seconds(alone: Recorded, shared: Recorded):
    for session in (alone, shared):
        times = session.report["times"]
        assert set(times) == {"finished", "seconds", "cpu_seconds"}
        assert {claim: set(arms) for claim, arms in times["cpu_seconds"].items()} == {
            "toy/order (quick)": {"low", "high"},
            "toy/top (quick)": {"low", "top"},
        }
        assert all(0 < seconds < 120 for arms in times["cpu_seconds"].values() for seconds in arms.values())
        assert "seconds" not in json.dumps(without_times(session.report)).replace("seconds_to_decide", "")


@pytest.mark.slow
def test_scales_have_separate_times(project: Project):
    project.write("test_order.py", ORDER.replace('{"quick": 16}', '{"quick": 2, "full": 3}'))
    tests = ["test_order.py::arm[low-quick]", "test_order.py::arm[high-full]"]
    project.run(*tests, "--claims-device", "cpu", "--claims-report", "out")
    assert len(project.report()["claims"]) == 2
    times = project.report()["times"]["cpu_seconds"]
    assert {claim: set(arms) for claim, arms in times.items()} == {
        "toy/order (quick)": {"low"}, "toy/order (full)": {"high"},
    }  # fmt: skip


def test_report_contains_claims_settings_and_verdicts(alone: Recorded):
    report = alone.report
    assert report["schema"] == 7
    order, top = report["claims"]
    for claim in (order, top):
        assert claim["scale"] == "quick"
        assert set(claim["environment"]) == {"cpu", "device", "numpy", "precision"}
        assert claim["data"] == {"name": "drawn", "digest": "0123456789abcdef", "stand_in": False}
        assert claim["first_seed"] == 0
        assert claim["missing"] == []
        assert claim["overridden"] == {}
        assert claim["scaled"] == [{"setting": "epochs", "value": 3, "report": 9}]
        assert claim["unstated"] == [
            {
                "setting": "noise",
                "value": 0.1,
                "grade": "open",
                "reason": "not stated",
                "alternatives": [{"value": 0.2, "reason": ""}, {"value": 0.5, "reason": "as in a fog"}],
            },
            {
                "setting": "loud",
                "value": False,
                "grade": "script",
                "reason": "read in the script",
                "alternatives": [],
            },
        ]
        for arm in claim["arms"]:
            assert {len(values) for values in arm["metrics"].values()} == {claim["seeds"]}
        for relation in claim["relations"]:
            assert set(relation) == RELATION
            assert relation["kind"] == "share"
            assert relation["relations"] == len(claim["relations"])
            assert set(relation["effect"]) == {"kind", "median", "low", "high"}
    assert {key: order[key] for key in ("id", "statement", "citation", "seeds", "verdict", "decisive", "notes")} == {
        "id": "toy/order",
        "statement": "Low has a smaller error than high.",
        "citation": "Table 1",
        "seeds": 12,
        "verdict": "REPRODUCED",
        "decisive": "low beats high on error",
        "notes": ["The error is that of Toy."],
    }
    assert order["metrics"]["accuracy"] == {
        "higher_is_better": True, "ratio": False, "unit": "", "curve": "accuracy",
    }  # fmt: skip
    low, high = order["arms"]
    assert (low["name"], list(low["metrics"])) == ("low", ["error"])
    assert (high["name"], list(high["metrics"])) == ("high", ["error", "accuracy"])
    assert high["settings"] == {"level": 2.0, "epochs": 3, "widths": [3, 4], "noise": 0.1, "loud": False}
    assert high["quoted"] == [
        {"metric": "error", "value": None, "where": "Table 1", "percentile": 100.0},
        {"metric": "accuracy", "value": 0.5, "where": "text", "percentile": 100.0},
    ]
    assert top["verdict"] == "NOT_REPRODUCED"
    assert top["decisive"] == "top beats low on error"
    assert [(relation["name"], relation["verdict"], relation["tag"]) for relation in top["relations"]] == [
        ("top beats low on error", "NOT_REPRODUCED", "reversed"),
        ("low beats top on error", "REPRODUCED", ""),
    ]


@pytest.mark.slow
def test_non_finite_values_are_null(project: Project):
    project.change("metrics['error'][:] = [np.nan, np.inf, -np.inf, 1, 2, 3][:len(seeds)]")
    project.run("test_order.py", "--claims-report", "out")
    (order,) = project.report()["claims"]
    assert order["arms"][0]["metrics"]["error"][:6] == [None, None, None, 1.0, 2.0, 3.0]
    assert order["relations"][0]["ties"] == 16


@pytest.mark.slow
def test_entry_does_not_depend_on_other_claims(project: Project, alone: Recorded):
    for folder, args in {"first": [], "second": [], "one": ["test_top.py"]}.items():
        project.run("--claims-report", folder, *args)
    first, second, one = (project.report(folder) for folder in ("first", "second", "one"))
    assert without_times(first) == without_times(second)
    assert one["claims"] == [first["claims"][1]]
    assert first["claims"] == alone.report["claims"]


@pytest.mark.slow
def test_partial_run_lists_missing_arms_and_relations(project: Project):
    tests = ["test_top.py::relation[low beats top on error-quick]", "test_order.py::arm[high-quick]"]
    project.run(*tests, "--claims-report", "out")
    order, top = project.report()["claims"]
    assert (order["verdict"], order["missing"]) == (None, ["low", "low beats high on error"])
    assert (top["verdict"], top["missing"]) == (None, ["low", "top", "top beats low on error"])
    assert [arm["name"] for arm in order["arms"]] == ["high"]
    project.run("test_top.py::relation[top beats low on error-quick]", "--claims-report", "out")
    (top,) = project.report()["claims"]
    assert (top["verdict"], top["missing"]) == ("NOT_REPRODUCED", ["low", "top", "low beats top on error"])


def test_report_names_overridden_settings(project: Project):
    overrides = ["--claims-set", "toy.noise=0.5", "--claims-set", "toy.loud=true"]
    project.run("test_top.py", *overrides, "--claims-report", "out")
    (top,) = project.report()["claims"]
    assert top["overridden"] == {"toy.noise": 0.5, "toy.loud": True}
    assert {entry["setting"]: entry["value"] for entry in top["unstated"]} == {"loud": True, "noise": 0.5}
    assert top["scaled"] == [{"setting": "epochs", "value": 3, "report": 9}]
    assert top["arms"][0]["settings"] == {"level": 1.0, "epochs": 3, "widths": [3, 4], "noise": 0.5, "loud": True}


@pytest.mark.slow
def test_unwritable_report_fails_run_in_one_line(project: Project):
    project.recorded()
    with limited_file_size(10_000):
        result = project.run("--claims-report", "out")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=7)
    assert count_lines(result, "--claims-report: no report was written: ") == 1
    assert count_lines(result, "; name another folder") == 1
    assert count_lines(result, "Traceback") == count_lines(result, "INTERNALERROR") == 0
