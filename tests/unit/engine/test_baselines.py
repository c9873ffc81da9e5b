"""Stored results: what a file keeps, what counts as drift, and the whole way from no baseline to a recorded change."""

import contextlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labcheck.core.verdicts import Verdict
from labcheck.engine import baselines
from labcheck.engine.baselines import Baseline, BaselineError
from tests.helpers.project import Project, Recorded, count_lines

HERE = {"torch": "2.11.0", "cpu": "this one"}
ELSEWHERE = {"torch": "2.12.0", "cpu": "this one"}
DATA = {"name": "drawn", "digest": "0123"}
VALUES = [1.0, 1.1, 0.9, 1.2, 0.8, 1.05, 0.95, 1.15, 0.85, 1.25, 0.75, 1.01]
FLOATS = st.lists(st.floats(width=32), min_size=1, max_size=30)
one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


def told(verdict: str, holds: int = 9, n: int = 12) -> baselines.StoredRelation:
    return {"verdict": verdict, "tag": "", "holds": holds, "ties": 0, "n": n}


def measured(error: list[float | None] = VALUES, **other: Any) -> Baseline:
    """A claim's baseline with one arm, one metric and one relation, or with whatever else is told."""
    arm: baselines.StoredArm = {"settings": {"lr": 0.1}, "metrics": {"error": error}}
    whole = Baseline("toy/order", "quick", DATA, 12, HERE, {"low": arm}, {"a beats b": told("REPRODUCED")})
    return replace(whole, **other)


# what a file keeps


@given(FLOATS)
def test_numbers_keep_what_float32_holds(values: list[float]):
    expected = np.where(np.isfinite(values), np.array(values, np.float32), np.nan)
    np.testing.assert_array_equal(baselines.floats(baselines.numbers(np.array(values))).astype(np.float32), expected)


@given(FLOATS)
@one_folder
def test_what_is_written_is_read(tmp_path: Path, values: list[float]):
    stored = measured(baselines.numbers(np.array(values)), update={"reason": "größer → besser"})
    baselines.write(stored, tmp_path / "deep" / "er" / "quick-drawn.json")
    assert baselines.read(tmp_path / "deep" / "er" / "quick-drawn.json") == stored


@given(st.data())
@one_folder
def test_an_edit_is_noticed_or_changes_nothing(tmp_path: Path, data: st.DataObject):
    file = tmp_path / "edited.json"
    baselines.write(measured(), file)
    text = file.read_text()
    place = data.draw(st.integers(0, len(text) - 1))
    file.write_text(text[:place] + data.draw(st.sampled_from(' 0159.-e"a')) + text[place + 1 :])
    with contextlib.suppress(BaselineError):
        assert baselines.read(file) == measured()


@given(st.floats(0, 0.99))
@one_folder
def test_a_truncated_file_is_refused(tmp_path: Path, share: float):
    file = tmp_path / "short.json"
    baselines.write(measured(), file)
    text = file.read_text()
    file.write_text(text[: int(len(text) * share)])
    with pytest.raises(BaselineError, match=r"short\.json: not a whole baseline; restore it"):
        baselines.read(file)


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"{}", b"null", b"\xff\xfe", b'{"schema": 1, "digest": "0"}'])
def test_anything_else_is_refused(tmp_path: Path, content: bytes):
    file = tmp_path / "quick-drawn.json"
    file.write_bytes(content)
    with pytest.raises(BaselineError, match="restore it from version control"):
        baselines.read(file)


def test_another_schema_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        patch.setattr(baselines, "SCHEMA", baselines.SCHEMA + 1)
        baselines.write(measured(), tmp_path / "new.json")
    with pytest.raises(BaselineError, match=r"schema 2 is not one that this labcheck reads \(1\)"):
        baselines.read(tmp_path / "new.json")


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    file = tmp_path / "quick-drawn.json"
    baselines.write(measured(), file)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BaselineError, match="not written: No space left on device"):
        baselines.write(measured([1.0]), file)
    assert baselines.read(file) == measured()
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_reads_as_a_diff(tmp_path: Path):
    file = tmp_path / "quick-drawn.json"
    baselines.write(measured(baselines.numbers(np.array([0.1, np.nan, 1 / 3]))), file)
    text = file.read_text()
    assert '"error": [0.1, null, 0.33333334]\n' in text
    assert text.endswith("}\n")
    assert json.dumps(json.loads(text)) == json.dumps(json.loads(text), sort_keys=True)


# what counts as drift


@pytest.mark.parametrize(
    ("today", "says"),
    [
        ([1.0, 2.0, 3.0], ""),
        ([1.0, float(np.nextafter(np.float32(2), np.float32(3))), 3.0], ""),
        ([1.0, 2.00001, 3.0], "error: 1 of 3 seeds differ, first seed 1: 2.00001, stored 2; if the change is meant"),
        ([1.0, None, None], "error: 2 of 3 seeds differ, first seed 1: nan, stored 2"),
        ([-1.0, 2.0, 3.0], "error: 1 of 3 seeds differ, first seed 0: -1, stored 1"),
        ([1.0, 2.0], ""),
        ([1.5, 2.0], "error: 1 of 2 seeds differ, first seed 0"),
        ([1.0, 2.0, 3.0, 9.0], ""),
    ],
)
def test_values_of_one_environment_are_the_stored_ones(today: list[float | None], says: str):
    failures, notes = baselines.compare_arm(measured([1.0, 2.0, 3.0]), measured(today), "low")
    assert notes == []
    assert len(failures) == bool(says)
    assert "".join(failures).startswith(f"arm 'low' has drifted: {says}" if says else "")


def test_a_value_that_was_not_finite_stays_so():
    assert baselines.compare_arm(measured([1.0, None]), measured([1.0, None]), "low") == ([], [])
    (failure,), _ = baselines.compare_arm(measured([1.0, None]), measured([1.0, 2.0]), "low")
    assert "first seed 1: 2, stored nan" in failure


@pytest.mark.parametrize(
    ("stored", "today", "says"),
    [
        ({"error": VALUES, "loss": VALUES}, {"error": VALUES}, "loss is no longer measured"),
        ({"error": VALUES}, {"error": VALUES, "loss": VALUES}, "loss is not stored"),
    ],
)
@pytest.mark.parametrize("environment", [HERE, ELSEWHERE])
def test_metrics_are_those_stored(stored: Any, today: Any, says: str, environment: Any):
    before, after = (measured(arms={"low": {"settings": {}, "metrics": part}}) for part in (stored, today))
    failures, _ = baselines.compare_arm(before, replace(after, environment=environment), "low")
    assert failures == [f"arm 'low' has drifted: {says}"]


@pytest.mark.parametrize(
    ("stored", "today", "says"),
    [
        ({"lr": 0.1}, {"lr": 0.2}, "setting lr is 0.2, stored 0.1"),
        ({"lr": 0.1}, {"lr": 0.1, "batch": 8}, "setting batch is 8, stored None"),
        ({"lr": 0.1, "batch": 8}, {"lr": 0.1}, "setting batch is None, stored 8"),
    ],
)
def test_settings_are_those_stored(stored: Any, today: Any, says: str):
    before, after = (measured(arms={"low": {"settings": part, "metrics": {}}}) for part in (stored, today))
    assert baselines.compare_arm(before, after, "low")[0] == [f"arm 'low' has drifted: {says}"]


def test_what_is_not_stored_fails_and_says_how_to_record_it():
    for failures, _ in (
        baselines.compare_arm(measured(arms={}), measured(), "low"),
        baselines.compare_relation(measured(relations={}), measured(), "a beats b"),
    ):
        assert len(failures) == 1
        assert failures[0].startswith("no baseline for ")
        assert failures[0].endswith("record it with --claims-update REASON")


@pytest.mark.parametrize(
    ("factor", "fails"), [(1.0, False), (1.0001, False), (0.9999, False), (3.0, True), (1 / 3, True)]
)
def test_values_of_another_environment_are_compared_as_distributions(factor: float, fails: bool):
    today = measured([factor * value for value in VALUES], environment=ELSEWHERE)
    failures, notes = baselines.compare_arm(measured(), today, "low")
    assert bool(failures) == fails
    assert notes == ["measured elsewhere (torch 2.11.0 → 2.12.0): distributions are compared, not values"]


def test_values_of_other_data_are_not_the_stored_ones():
    (failure,), notes = baselines.compare_arm(measured(), measured(data={"name": "drawn", "digest": "4567"}), "low")
    assert "trained on other data (digest 0123 → 4567); if the change is meant" in failure
    assert notes == []


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("seeds", [12, 4])
def test_verdicts_on_other_data_are_not_compared(verdict: Verdict, seeds: int):
    other = {"name": "drawn", "digest": "4567"}
    today = measured(relations={"a beats b": told(verdict)}, data=other, seeds=seeds)
    (failure,), notes = baselines.compare_relation(measured(), today, "a beats b")
    assert failure.startswith("a beats b: judged on other data (digest 0123 → 4567); if the change is meant")
    assert notes == []


def test_elsewhere_few_seeds_say_what_they_would_show():
    today = measured(VALUES[:8], seeds=8, environment=ELSEWHERE)
    _, (note,) = baselines.compare_arm(measured(VALUES[:8], seeds=8), today, "low")
    shift = float(note.rpartition("; 8 seeds show a shift of ")[2].removesuffix(" sd"))
    assert 1 <= shift <= 5
    today = measured(VALUES[:5], seeds=5, environment=ELSEWHERE)
    _, (note,) = baselines.compare_arm(measured(VALUES[:5], seeds=5), today, "low")
    assert note.endswith("; 5 seeds are too few to show any shift")


@pytest.mark.parametrize("today", list(Verdict))
@pytest.mark.parametrize("stored", list(Verdict))
@pytest.mark.parametrize("environment", [HERE, ELSEWHERE])
def test_a_verdict_may_move_only_to_or_from_inconclusive(stored: Verdict, today: Verdict, environment: Any):
    before = measured(relations={"a beats b": told(stored)})
    after = measured(relations={"a beats b": told(today)}, environment=environment)
    failures, notes = baselines.compare_relation(before, after, "a beats b")
    turned = {stored, today} == {Verdict.REPRODUCED, Verdict.NOT_REPRODUCED}
    assert (len(failures), len(notes)) == (turned, not turned and stored != today)
    assert all(f"a beats b: {today}, stored {stored}" in line for line in failures + notes)


@pytest.mark.parametrize("seeds", [4, 24])
def test_verdicts_of_other_numbers_of_seeds_are_not_compared(seeds: int):
    today = measured(relations={"a beats b": told("NOT_REPRODUCED")}, seeds=seeds)
    assert baselines.compare_relation(measured(), today, "a beats b") == ([], [])


# what an update writes


def test_a_merge_keeps_what_was_not_measured():
    stored = measured(update={"reason": "old"})
    today = measured(arms={"high": stored.arms["low"]}, relations={}, update={"reason": "new"})
    merged = baselines.merge(stored, today)
    assert merged.arms == {**stored.arms, **today.arms}
    assert merged.relations == stored.relations
    assert merged.update == {"reason": "new"}


def test_a_merge_keeps_the_times_of_what_was_not_measured():
    stored, today = measured(cpu_seconds={"low": 1.0, "high": 2.0}), measured(cpu_seconds={"high": 3.0})
    assert baselines.merge(stored, today).cpu_seconds == {"low": 1.0, "high": 3.0}


@pytest.mark.parametrize(
    "other", [{"environment": ELSEWHERE}, {"data": {"name": "drawn", "digest": "4"}}, {"seeds": 5}]
)
@pytest.mark.parametrize("part", ["arms", "relations"])
def test_a_merge_refuses_parts_that_do_not_fit_together(other: dict[str, Any], part: str):
    with pytest.raises(BaselineError, match=r"toy/order: not written: (low|a beats b) was measured on another"):
        baselines.merge(measured(), measured(**{part: {}}, **other))
    whole = measured(**other)
    assert baselines.merge(measured(), whole) == whole


def test_changes_are_told_from_old_to_new():
    today = measured([2.0], relations={"a beats b": told("INCONCLUSIVE", 8), "b beats c": told("REPRODUCED", 12)})
    today.arms["high"] = today.arms["low"]
    assert baselines.changes(measured(), today) == [
        "a beats b: REPRODUCED 9/12 → INCONCLUSIVE 8/12",
        "b beats c: none → REPRODUCED 12/12",
        "arm high: new",
        "arm low: changed",
    ]
    assert baselines.changes(measured(), measured()) == []
    assert baselines.changes(None, measured()) == ["a beats b: none → REPRODUCED 9/12", "arm low: new"]


def test_arms_that_are_timed_for_the_first_time_are_told():
    timed = measured(cpu_seconds={"low": 1.0, "high": 2.0})
    assert baselines.changes(measured(), timed) == baselines.changes(timed, measured()) == ["arms timed: high, low"]
    assert "arms timed" not in str(baselines.changes(None, timed))


def test_a_change_of_what_was_measured_on_is_told():
    new = measured(seeds=5, environment=ELSEWHERE)
    assert baselines.changes(measured(), new) == [
        "measured on: 12 seeds → 5 seeds",
        "measured on: torch 2.11.0 → 2.12.0",
    ]


def test_what_the_claim_has_no_more_is_told():
    assert baselines.compare_names(measured(), ["low", "a beats b"]) == []
    low, relation = sorted(baselines.compare_names(measured(), ["high"]), reverse=True)
    assert low.startswith("'low' is stored, but the claim has it no more; if the change is meant")
    assert relation.startswith("'a beats b' is stored, ")


def test_unused_files_are_found(tmp_path: Path):
    used = baselines.path(tmp_path, "toy/order", "quick", "drawn")
    for file in (used, baselines.path(tmp_path, "toy/gone", "quick", "drawn"), used.with_suffix(".part")):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    assert used == tmp_path / "toy" / "order" / "quick-drawn.json"
    gone = [tmp_path / "toy" / "gone" / "quick-drawn.json", used.with_suffix(".part")]
    assert baselines.unused(tmp_path, [used]) == gone


# the tester is tested


def test_from_no_baseline_to_a_recorded_change(project: Project):
    result = project.run("test_order.py")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(failed=3)
    assert count_lines(result, "no baseline; record one with --claims-update REASON") == 3

    result = project.run("test_order.py", "--claims-update", "the first record")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert (
        count_lines(
            result,
            "a run with --claims-update exits with status 1 on purpose: review the changes, and run again without it",
        )
        == 1
    )
    assert count_lines(result, "toy/order (quick): low beats high on error: none → REPRODUCED 16/16") == 1
    stored = baselines.read(project.file("order"))
    assert stored.update == {
        "reason": "the first record",
        "changes": ["low beats high on error: none → REPRODUCED 16/16", "arm high: new", "arm low: new"],
        "commit": None,
        "dirty": None,
    }

    assert project.run("test_order.py").ret == pytest.ExitCode.OK

    project.change("metrics['error'] *= 1.01 if lab.level == 2 else 1")
    result = project.run("test_order.py")
    result.assert_outcomes(passed=2, failed=1)
    assert count_lines(result, "arm 'high' has drifted: error: 16 of 16 seeds differ, first seed 0") == 1
    assert baselines.read(project.file("order")) == stored

    result = project.run("test_order.py", "--claims-update", "one percent more")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert count_lines(result, "toy/order (quick): arm high: changed") == 1
    assert count_lines(result, "arm low") == 0
    assert baselines.read(project.file("order")).update["reason"] == "one percent more"
    assert project.run("test_order.py").ret == pytest.ExitCode.OK


def test_an_update_tells_the_commit_and_whether_it_is_clean(project: Project):
    def git(*args: str) -> str:
        names = ("-c", "user.name=nobody", "-c", "user.email=nobody@localhost")
        return project.pytester.run("git", *names, *args).stdout.str().strip()

    (project.folder / ".gitignore").write_text("__pycache__\n*.log\n")
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "all")
    project.recorded()
    for claim in ("order", "top"):
        update = baselines.read(project.file(claim)).update
        assert (update["commit"], update["dirty"]) == (git("rev-parse", "HEAD"), False)

    project.change("metrics['error'] *= 2")
    update = baselines.read(project.recorded("test_order.py").file("order")).update
    assert (update["commit"], update["dirty"]) == (git("rev-parse", "HEAD"), True)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("if lab.level == 2: metrics['error'][3] = np.nan", "error: 3 of 16 seeds differ, first seed 3: nan, stored"),
        (
            "if lab.level == 2: del metrics['error']",
            "toy/order (quick): arm 'high': there is no metric 'error'; there are",
        ),
        ("if lab.level == 2: metrics['accuracy'] += .1", "arm 'high' has drifted: accuracy: 16 of 16 seeds differ"),
    ],
)
def test_a_change_of_one_metric_fails_its_arm(project: Project, code: str, says: str):
    project.recorded()
    project.change(code)
    result = project.run("test_order.py::arm[low-quick]", "test_order.py::arm[high-quick]")
    result.assert_outcomes(passed=1, failed=1)
    assert count_lines(result, says)


def test_a_metric_that_the_claim_drops_fails(project: Project):
    project.recorded()
    claim = (project.folder / "test_order.py").read_text()
    (project.folder / "test_order.py").write_text(claim.replace(', "text": {ACCURACY: 0.5}', ""))
    result = project.run("test_order.py")
    result.assert_outcomes(passed=2, failed=1)
    assert count_lines(result, "arm 'high' has drifted: accuracy is no longer measured") == 1


def test_an_arm_that_is_not_stored_fails(project: Project):
    project.recorded().edit("order", lambda stored: stored.arms.pop("high"))
    result = project.run("test_order.py")
    result.assert_outcomes(passed=2, failed=1)
    assert (
        count_lines(result, "no baseline for arm 'high'; if the change is meant, record it with --claims-update REASON")
        == 1
    )


def test_what_a_claim_drops_fails_until_all_of_it_is_recorded_again(project: Project):
    project.recorded().edit("top", lambda stored: stored.environment.update(torch="0.1"))
    claim = (project.folder / "test_top.py").read_text()
    (project.folder / "test_top.py").write_text(claim.replace('beats("top", "low", ERROR), ', ""))
    says = "'top beats low on error' is stored, but the claim has it no more; if the change is meant, record it"
    assert count_lines(project.run("test_top.py"), says) == 3
    project.recorded("test_top.py", "-k", "arm")
    assert count_lines(project.run("test_top.py"), says) == 3
    project.recorded("test_top.py")
    assert baselines.read(project.file("top")).relations.keys() == {"low beats top on error"}
    assert project.run("test_top.py").ret == pytest.ExitCode.OK


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('"seeds": 16', '"seeds": 15', "edited by hand; restore it from version control"),
        ('"relations"', "", "not a whole baseline; restore it from version control"),
    ],
)
def test_a_file_that_cannot_be_used_fails_and_an_update_leaves_it(project: Project, before: str, after: str, says: str):
    file = project.recorded().file("order")
    spoilt = file.read_text().replace(before, after)
    file.write_text(spoilt)
    result = project.run("test_order.py")
    result.assert_outcomes(failed=3)
    assert count_lines(result, says) == 3
    result = project.run("test_order.py", "--claims-update", "anything")
    assert count_lines(result, says) == 1
    assert file.read_text() == spoilt


def test_an_update_touches_only_the_selected_claim(project: Project):
    other = project.recorded().file("top")
    before = other.read_bytes(), other.stat().st_mtime_ns
    project.change("metrics['error'] *= 1.01")
    project.recorded("test_order.py")
    assert (other.read_bytes(), other.stat().st_mtime_ns) == before


def test_an_update_of_one_arm_keeps_the_others(project: Project):
    stored = baselines.read(project.recorded().file("order"))
    project.change("metrics['error'] *= 1.01")
    project.recorded("test_order.py", "-k", "arm and high")
    today = baselines.read(project.file("order"))
    assert today.arms["low"] == stored.arms["low"]
    assert today.arms["high"] != stored.arms["high"]
    assert today.relations == stored.relations


@pytest.mark.parametrize("options", [[], ["--claims-seeds", "10"]])
def test_an_update_does_not_mix_what_was_measured_apart(project: Project, options: list[str]):
    project.recorded()
    if not options:
        project.edit("order", lambda stored: stored.environment.update(torch="0.1"))
    before = project.file("order").read_bytes()
    project.change("metrics['error'] *= 1.01")
    result = project.run("test_order.py::arm[low-quick]", "--claims-update", "half of it", *options)
    assert count_lines(result, "toy/order: not written: high, low beats high on error was measured on another") == 1
    assert project.file("order").read_bytes() == before
    project.recorded("test_order.py", *options)
    assert project.file("order").read_bytes() != before


def test_an_update_writes_nothing_of_a_claim_with_a_crash(project: Project):
    before = project.recorded().file("order").read_bytes()
    project.change("if lab.level == 2: raise ValueError('no luck')\nmetrics['error'] *= 1.1")
    result = project.run("--claims-update", "it crashes")
    result.assert_outcomes(passed=5, failed=2)
    assert count_lines(result, "toy/order: not written: a test of it could not be run") == 1
    assert project.file("order").read_bytes() == before
    assert baselines.read(project.file("top")).update["reason"] == "it crashes"


def test_an_update_that_changes_nothing_writes_nothing(project: Project):
    before = project.recorded().file("order").read_bytes()
    result = project.run("--claims-update", "no reason at all")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert count_lines(result, "toy/order (quick): as stored") == 1
    assert project.file("order").read_bytes() == before


def test_an_update_records_another_environment_though_all_values_are_equal(project: Project):
    here = baselines.read(project.recorded().file("order")).environment
    project.edit("order", lambda stored: stored.environment.update(torch="0.1"))
    result = project.run("test_order.py", "--claims-update", "another torch")
    assert count_lines(result, "toy/order (quick): measured on: torch 0.1 → ") == 1
    assert baselines.read(project.file("order")).environment == here


def test_an_interrupted_update_writes_nothing(project: Project):
    project.change("if lab.level == 3: raise KeyboardInterrupt")
    result = project.run("--claims-update", "impatient", no_reraise_ctrlc=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert count_lines(result, "interrupted: no baseline was written") == 1
    assert list((project.folder / "baselines").rglob("*")) == []


def test_workers_record_what_one_process_does(alone: Recorded, shared: Recorded):
    assert (alone.code, shared.code) == (1, 1)
    assert "created: 2/2 workers" in shared.output
    recorded = [{name: json.loads(text) for name, text in run.baselines.items()} for run in (alone, shared)]
    for stored in (stored for baseline in zip(*(run.values() for run in recorded), strict=True) for stored in baseline):
        assert stored.pop("cpu_seconds").keys() == stored["arms"].keys()
        stored.pop("digest")  # tells of the seconds too
    assert len(recorded[0]) == 2
    assert recorded[0] == recorded[1]


# how long it took


def timed(project: Project, **seconds: float) -> None:
    """As if recording the arms of toy/order had taken so long."""
    project.edit("order", lambda stored: setattr(stored, "cpu_seconds", seconds))


def test_a_record_keeps_how_long_each_arm_took(project: Project):
    stored = baselines.read(project.recorded("--claims-report", "out").file("order"))
    assert stored.cpu_seconds.keys() == {"low", "high"}
    assert all(seconds > 0 for seconds in stored.cpu_seconds.values())
    assert project.report()["times"]["cpu_seconds"]["toy/order (quick)"] == stored.cpu_seconds


@pytest.mark.parametrize("seconds", [{}, {"low": 1e-6, "high": 1e6}])
def test_what_took_another_time_is_as_stored(project: Project, seconds: dict[str, float]):
    timed(project.recorded(), **seconds)
    assert project.run("test_order.py").ret == pytest.ExitCode.OK
    one, other = measured(cpu_seconds={"low": 1.0}), measured(cpu_seconds={"low": 2.0})
    assert baselines.changes(one, other) == []
    assert baselines.compare_arm(one, other, "low") == ([], [])


def test_an_update_of_what_only_took_another_time_writes_nothing(project: Project):
    timed(project.recorded(), low=1e-6, high=1e6)
    before = project.file("order").read_bytes()
    assert count_lines(project.run("--claims-update", "no reason at all"), "toy/order (quick): as stored") == 1
    assert project.file("order").read_bytes() == before


def test_an_update_of_one_arm_keeps_how_long_the_others_took(project: Project):
    timed(project.recorded(), low=111.0, high=222.0)
    project.change("metrics['error'] *= 1.01")
    project.recorded("test_order.py", "-k", "arm and high")
    seconds = baselines.read(project.file("order")).cpu_seconds
    assert seconds["low"] == 111
    assert 0 < seconds["high"] < 222


def test_an_update_of_a_relation_keeps_how_long_arms_took(project: Project):
    timed(project.recorded(), low=111.0, high=222.0)
    project.edit("order", lambda stored: stored.relations["low beats high on error"].update(holds=15))
    project.recorded("test_order.py", "-k", "beats")
    assert baselines.read(project.file("order")).cpu_seconds == {"low": 111, "high": 222}


def test_a_record_without_times_is_read_and_used_and_gets_them(project: Project):
    file = project.recorded().file("order")
    content = json.loads(file.read_text())
    del content["cpu_seconds"]
    whole = {key: value for key, value in content.items() if key not in ("digest", "schema")}
    file.write_text(json.dumps({**content, "digest": baselines._digest(whole)}))
    assert baselines.read(file).cpu_seconds == {}
    assert project.run("test_order.py").ret == pytest.ExitCode.OK
    result = project.run("test_order.py", "--claims-update", "times")
    assert count_lines(result, "toy/order (quick): arms timed: high, low") == 1
    assert baselines.read(file).cpu_seconds.keys() == {"low", "high"}


# another environment


def elsewhere(project: Project, factor: float = 1.0, **verdicts: Verdict) -> None:
    """As if toy/order had been recorded with another torch, its values multiplied and its verdict another one."""

    def change(stored: Baseline) -> None:
        stored.environment["torch"] = "0.1"
        for arm in stored.arms.values():
            arm["metrics"] = {name: [factor * v for v in values] for name, values in arm["metrics"].items()}
        for relation in stored.relations.values():
            relation |= verdicts  # type: ignore[typeddict-item]

    project.recorded().edit("order", change)


def test_elsewhere_values_may_differ_a_little_and_one_line_says_so(project: Project):
    elsewhere(project, 1.0001)
    result = project.run()
    assert result.ret == pytest.ExitCode.OK
    assert count_lines(result, "measured elsewhere (torch 0.1 → ") == 1


def test_elsewhere_a_shift_fails(project: Project):
    elsewhere(project, 2.0)
    result = project.run("test_order.py")
    result.assert_outcomes(passed=1, failed=2)
    assert count_lines(result, "arm 'low' has drifted: error: median 0.98") == 1


def test_elsewhere_a_verdict_that_turns_fails(project: Project):
    elsewhere(project, verdict=Verdict.NOT_REPRODUCED)
    result = project.run("test_order.py")
    result.assert_outcomes(passed=2, failed=1)
    assert (
        count_lines(result, "low beats high on error: REPRODUCED, stored NOT_REPRODUCED; if the change is meant") == 1
    )


def test_elsewhere_a_verdict_that_was_inconclusive_is_told(project: Project):
    elsewhere(project, verdict=Verdict.INCONCLUSIVE)
    result = project.run("test_order.py")
    assert result.ret == pytest.ExitCode.OK
    assert count_lines(result, "low beats high on error: REPRODUCED, stored INCONCLUSIVE") == 1


def test_fewer_seeds_are_compared_and_verdicts_are_not(project: Project):
    project.recorded().change("metrics['error'][np.array(seeds) >= 10] *= 2")
    project.edit("order", lambda stored: stored.relations["low beats high on error"].update(verdict="NOT_REPRODUCED"))
    result = project.run("test_order.py", "--claims-seeds", "10")
    assert result.ret == pytest.ExitCode.OK
    assert (
        count_lines(
            result,
            "toy/order (quick): 10 seeds where 16 are stored: those that both have are compared, verdicts are shown",
        )
        == 1
    )
    assert count_lines(result, "10/10") == 1

    project.change("metrics['error'][np.array(seeds) == 9] *= 2")
    result = project.run("test_order.py", "--claims-seeds", "10")
    result.assert_outcomes(passed=1, failed=2)
    assert count_lines(result, "error: 1 of 10 seeds differ, first seed 9") == 2


def test_overridden_settings_are_compared_with_nothing(project: Project):
    result = project.run("test_order.py", "--claims-set", "toy.noise=5")
    assert result.ret == pytest.ExitCode.OK
    assert count_lines(result, "toy.noise=5.0 overridden: nothing is compared with the baselines") == 1
