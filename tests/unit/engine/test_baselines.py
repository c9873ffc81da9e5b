"""Baselines: their files, comparisons with current results, and updates."""

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labcheck import Verdict
from labcheck.core import drift
from labcheck.engine import baselines, environment
from labcheck.engine.baselines import Baseline, BaselineError
from tests.helpers.project import Project, Recorded, count_lines

HERE: environment.Fingerprint = {"torch": "2.11.0", "cpu": "x86"}
ELSEWHERE: environment.Fingerprint = {"torch": "2.12.0", "cpu": "x86"}
DATA = {"name": "drawn", "digest": "0123"}
VALUES = [1.0, 1.1, 0.9, 1.2, 0.8, 1.05, 0.95, 1.15, 0.85, 1.25, 0.75, 1.01]
FLOATS = st.lists(st.floats(width=32), min_size=1, max_size=30)
one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


def judged(verdict: str, holds: int = 9, n: int = 12) -> baselines.StoredRelation:
    return {"verdict": verdict, "tag": "", "holds": holds, "ties": 0, "n": n}


def measured(error: Sequence[float | None] = VALUES, **other: Any) -> Baseline:
    """Return a baseline with one arm, one metric and one relation, some fields of which may be replaced."""
    arm: baselines.StoredArm = {"settings": {"lr": 0.1}, "metrics": {"error": list(error)}}
    whole = Baseline("toy/order", "quick", DATA, 12, HERE, {"low": arm}, {"a beats b": judged("REPRODUCED")})
    return replace(whole, **other)


# files


@given(FLOATS)
def test_numbers_preserve_float32_values(values: list[float]):
    expected = np.where(np.isfinite(values), np.array(values, np.float32), np.nan)
    np.testing.assert_array_equal(baselines.floats(baselines.numbers(np.array(values))).astype(np.float32), expected)


@given(FLOATS)
@one_folder
def test_read_returns_what_was_written(tmp_path: Path, values: list[float]):
    stored = measured(baselines.numbers(np.array(values)), update={"reason": "größer → besser"})
    baselines.write(stored, tmp_path / "deep" / "er" / "quick-drawn.json")
    assert baselines.read(tmp_path / "deep" / "er" / "quick-drawn.json") == stored


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the content of a file of `measured()`."""
    file = tmp_path_factory.mktemp("baselines") / "measured.json"
    baselines.write(measured(), file)
    return file.read_text()


@given(st.data())
@one_folder
def test_read_detects_edit_unless_content_is_equal(tmp_path: Path, text: str, data: st.DataObject):
    file = tmp_path / "edited.json"
    place = data.draw(st.integers(0, len(text) - 1))
    file.write_text(text[:place] + data.draw(st.sampled_from(' 0159.-e"a')) + text[place + 1 :])
    with contextlib.suppress(BaselineError):
        assert baselines.read(file) == measured()


@given(st.floats(0, 0.99))
@one_folder
def test_read_refuses_truncated_file(tmp_path: Path, text: str, share: float):
    file = tmp_path / "short.json"
    file.write_text(text[: int(len(text) * share)])
    with pytest.raises(BaselineError, match=r"short\.json: not a complete baseline; restore it"):
        baselines.read(file)


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"{}", b"null", b"\xff\xfe", b'{"schema": 1, "digest": "0"}'])
def test_read_refuses_other_content(tmp_path: Path, content: bytes):
    file = tmp_path / "quick-drawn.json"
    file.write_bytes(content)
    with pytest.raises(BaselineError, match="restore it from version control"):
        baselines.read(file)


def test_read_refuses_other_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        patch.setattr(baselines, "SCHEMA", baselines.SCHEMA + 1)
        baselines.write(measured(), tmp_path / "new.json")
    with pytest.raises(
        BaselineError, match=r"new\.json: schema 2, this version of labcheck reads 1; use the version that recorded it"
    ):
        baselines.read(tmp_path / "new.json")


def test_write_leaves_file_unchanged_if_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def raise_full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    file = tmp_path / "quick-drawn.json"
    baselines.write(measured(), file)
    monkeypatch.setattr(os, "fsync", raise_full)
    with pytest.raises(BaselineError, match="not written: No space left on device"):
        baselines.write(measured([1.0]), file)
    assert baselines.read(file) == measured()
    assert list(tmp_path.iterdir()) == [file]


def test_file_is_readable_as_diff(tmp_path: Path):
    file = tmp_path / "quick-drawn.json"
    baselines.write(measured(baselines.numbers(np.array([0.1, np.nan, 1 / 3]))), file)
    text = file.read_text()
    assert '"error": [0.1, null, 0.33333334]\n' in text
    assert text.endswith("}\n")
    assert json.dumps(json.loads(text)) == json.dumps(json.loads(text), sort_keys=True)


# comparisons


@pytest.mark.parametrize(
    ("current", "message"),
    [
        ([1.0, 2.0, 3.0], ""),
        ([1.0, float(np.nextafter(np.float32(2), np.float32(3))), 3.0], ""),
        (
            [1.0, 2.00001, 3.0],
            "error: 1 of 3 seeds differ, first seed 1: 2.00001, stored 2; if the change is intentional",
        ),
        ([1.0, None, None], "error: 2 of 3 seeds differ, first seed 1: nan, stored 2"),
        ([-1.0, 2.0, 3.0], "error: 1 of 3 seeds differ, first seed 0: -1, stored 1"),
        ([1.0, 2.0], ""),
        ([1.5, 2.0], "error: 1 of 2 seeds differ, first seed 0"),
        ([1.0, 2.0, 3.0, 9.0], ""),
    ],
)
def test_arm_has_drifted_if_values_differ_in_same_environment(current: list[float | None], message: str):
    failures, notes = baselines.compare_arm(measured([1.0, 2.0, 3.0]), measured(current), "low")
    assert notes == []
    assert len(failures) == bool(message)
    assert "".join(failures).startswith(f"arm 'low' has drifted: {message}" if message else "")


def test_arm_has_drifted_if_non_finite_value_becomes_finite():
    assert baselines.compare_arm(measured([1.0, None]), measured([1.0, None]), "low") == ([], [])
    (failure,), _ = baselines.compare_arm(measured([1.0, None]), measured([1.0, 2.0]), "low")
    assert "first seed 1: 2, stored nan" in failure


@pytest.mark.parametrize(
    ("stored", "current", "message"),
    [
        ({"error": VALUES, "loss": VALUES}, {"error": VALUES}, "loss is no longer measured"),
        ({"error": VALUES}, {"error": VALUES, "loss": VALUES}, "loss is not in the baseline"),
    ],
)
@pytest.mark.parametrize("environment", [HERE, ELSEWHERE])
def test_arm_has_drifted_if_metrics_differ(stored: Any, current: Any, message: str, environment: Any):
    before, after = (measured(arms={"low": {"settings": {}, "metrics": part}}) for part in (stored, current))
    failures, _ = baselines.compare_arm(before, replace(after, environment=environment), "low")
    assert failures == [f"arm 'low' has drifted: {message}"]


@pytest.mark.parametrize(
    ("stored", "current", "message"),
    [
        ({"lr": 0.1}, {"lr": 0.2}, "setting lr is 0.2, stored 0.1"),
        ({"lr": 0.1}, {"lr": 0.1, "batch": 8}, "setting batch is 8, stored missing"),
        ({"lr": 0.1, "batch": 8}, {"lr": 0.1}, "setting batch is missing, stored 8"),
        (
            {"config": {"lr": 0.1, "widths": {"first": [3, 4]}}},
            {"config": {"lr": 0.1, "widths": {"first": [3, 5]}}},
            "setting config.widths.first is [3, 5], stored [3, 4]",
        ),
        (
            {"config": {"test_x.Config": {"lr": 0.1, "batch": 8}}},
            {"config": {"test_x.Config": {"lr": 0.2, "batch": 8}}},
            "setting config.lr is 0.2, stored 0.1",
        ),
    ],
)
def test_arm_has_drifted_if_settings_differ(stored: Any, current: Any, message: str):
    before, after = (measured(arms={"low": {"settings": part, "metrics": {}}}) for part in (stored, current))
    assert baselines.compare_arm(before, after, "low")[0] == [f"arm 'low' has drifted: {message}"]


def test_comparison_fails_with_update_hint_without_baseline():
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
def test_distributions_are_compared_in_other_environment(factor: float, fails: bool):
    current = measured([factor * value for value in VALUES], environment=ELSEWHERE)
    failures, notes = baselines.compare_arm(measured(), current, "low")
    assert bool(failures) == fails
    assert notes == ["another environment (torch 2.11.0 → 2.12.0): distributions are compared, not values"]


def test_arm_has_drifted_if_data_differs():
    (failure,), notes = baselines.compare_arm(measured(), measured(data={"name": "drawn", "digest": "4567"}), "low")
    assert "trained on different data (digest 0123 → 4567); if the change is intentional" in failure
    assert notes == []


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("seeds", [12, 4])
def test_comparison_of_verdicts_fails_if_data_differs(verdict: Verdict, seeds: int):
    other = {"name": "drawn", "digest": "4567"}
    current = measured(relations={"a beats b": judged(verdict)}, data=other, seeds=seeds)
    (failure,), notes = baselines.compare_relation(measured(), current, "a beats b")
    assert failure.startswith("a beats b: judged on different data (digest 0123 → 4567); if the change is intentional")
    assert notes == []


@pytest.mark.parametrize(
    ("shift", "power"), [(2.5, "8 seeds reveal a shift of 2.5 sd"), (np.inf, "8 seeds are too few to reveal any shift")]
)
def test_note_states_detectable_shift_of_few_seeds(shift: float, power: str, monkeypatch: pytest.MonkeyPatch):
    shifts = {(12, 8): shift}
    monkeypatch.setattr(drift, "smallest_detectable_shift", lambda *seeds: shifts[seeds])
    current = measured(VALUES[:8], seeds=8, environment=ELSEWHERE)
    _, (note,) = baselines.compare_arm(measured(), current, "low")
    assert note == f"another environment (torch 2.11.0 → 2.12.0): distributions are compared, not values; {power}"


@pytest.mark.parametrize("current", list(Verdict))
@pytest.mark.parametrize("stored", list(Verdict))
@pytest.mark.parametrize("environment", [HERE, ELSEWHERE])
def test_comparison_of_verdicts_fails_if_they_contradict(stored: Verdict, current: Verdict, environment: Any):
    before = measured(relations={"a beats b": judged(stored)})
    after = measured(relations={"a beats b": judged(current)}, environment=environment)
    failures, notes = baselines.compare_relation(before, after, "a beats b")
    contradict = {stored, current} == {Verdict.REPRODUCED, Verdict.NOT_REPRODUCED}
    assert (len(failures), len(notes)) == (contradict, not contradict and stored != current)
    assert all(f"a beats b: {current}, stored {stored}" in line for line in failures + notes)


@pytest.mark.parametrize("seeds", [4, 24])
def test_verdicts_are_not_compared_if_number_of_seeds_differs(seeds: int):
    current = measured(relations={"a beats b": judged("NOT_REPRODUCED")}, seeds=seeds)
    assert baselines.compare_relation(measured(), current, "a beats b") == ([], [])


# merges and changes


def test_merge_keeps_results_that_were_not_measured():
    stored = measured(update={"reason": "old"})
    current = measured(arms={"high": stored.arms["low"]}, relations={}, update={"reason": "new"})
    merged = baselines.merge(stored, current)
    assert merged.arms == {**stored.arms, **current.arms}
    assert merged.relations == stored.relations
    assert merged.update == {"reason": "new"}


def test_merge_keeps_cpu_seconds_that_were_not_measured():
    stored, current = measured(cpu_seconds={"low": 1.0, "high": 2.0}), measured(cpu_seconds={"high": 3.0})
    assert baselines.merge(stored, current).cpu_seconds == {"low": 1.0, "high": 3.0}


@pytest.mark.parametrize(
    "other", [{"environment": ELSEWHERE}, {"data": {"name": "drawn", "digest": "4"}}, {"seeds": 5}]
)
@pytest.mark.parametrize("part", ["arms", "relations"])
def test_merge_refuses_results_of_other_circumstances(other: dict[str, Any], part: str):
    with pytest.raises(BaselineError, match=r"toy/order: not written: (low|a beats b) was measured on another"):
        baselines.merge(measured(), measured(**{part: {}, **other}))
    whole = measured(**other)
    assert baselines.merge(measured(), whole) == whole


def test_changes_are_listed_from_old_to_new():
    current = measured([2.0], relations={"a beats b": judged("INCONCLUSIVE", 8), "b beats c": judged("REPRODUCED", 12)})
    current.arms["high"] = current.arms["low"]
    assert baselines.changes(measured(), current) == [
        "a beats b: REPRODUCED 9/12 → INCONCLUSIVE 8/12",
        "b beats c: none → REPRODUCED 12/12",
        "arm high: new",
        "arm low: changed",
    ]
    assert baselines.changes(measured(), measured()) == []
    assert baselines.changes(None, measured()) == ["a beats b: none → REPRODUCED 9/12", "arm low: new"]


def test_changes_list_arms_that_are_timed_for_first_time():
    timed = measured(cpu_seconds={"low": 1.0, "high": 2.0})
    assert baselines.changes(measured(), timed) == baselines.changes(timed, measured()) == ["arms timed: high, low"]
    assert "arms timed" not in str(baselines.changes(None, timed))


def test_changes_list_environment_and_number_of_seeds():
    new = measured(seeds=5, environment=ELSEWHERE)
    assert baselines.changes(measured(), new) == [
        "measured on: 12 seeds → 5 seeds",
        "measured on: torch 2.11.0 → 2.12.0",
    ]


def test_compare_names_lists_arms_and_relations_that_are_gone():
    assert baselines.compare_names(measured(), ["low", "a beats b"]) == []
    low, relation = sorted(baselines.compare_names(measured(), ["high"]), reverse=True)
    assert low.startswith("'low' is in the baseline, but no longer in the claim; if the change is intentional")
    assert relation.startswith("'a beats b' is in the baseline, ")


def test_unused_lists_files_of_no_claim(tmp_path: Path):
    used = baselines.path(tmp_path, "toy/order", "quick", "drawn")
    for file in (used, baselines.path(tmp_path, "toy/gone", "quick", "drawn"), used.with_suffix(".part")):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    assert used == tmp_path / "toy" / "order" / "quick-drawn.json"
    gone = [tmp_path / "toy" / "gone" / "quick-drawn.json", used.with_suffix(".part")]
    assert baselines.unused(tmp_path, [used]) == gone


# sessions


@pytest.mark.slow
def test_baseline_is_missing_then_recorded_then_changed(project: Project):
    result = project.run("test_order.py")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(failed=3)
    assert count_lines(result, "no baseline; record one with --claims-update REASON") == 3

    result = project.run("test_order.py", "--claims-update", "the first record")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert (
        count_lines(
            result,
            "--claims-update exits with status 1 on purpose: review the changes, then run again without it",
        )
        == 1
    )
    assert count_lines(result, "toy/order (quick): low beats high on error: none → REPRODUCED 12/12") == 1
    stored = baselines.read(project.file("order"))
    assert stored.update == {
        "reason": "the first record",
        "changes": ["low beats high on error: none → REPRODUCED 12/12", "arm high: new", "arm low: new"],
        "commit": None,
        "dirty": None,
    }

    assert project.run("test_order.py").ret == pytest.ExitCode.OK

    project.change("metrics['error'] *= 1.01 if lab.level == 2 else 1")
    result = project.run("test_order.py")
    result.assert_outcomes(passed=2, failed=1)
    assert count_lines(result, "arm 'high' has drifted: error: 12 of 12 seeds differ, first seed 0") == 1
    assert baselines.read(project.file("order")) == stored

    result = project.run("test_order.py", "--claims-update", "one percent more")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert count_lines(result, "toy/order (quick): arm high: changed") == 1
    assert count_lines(result, "arm low") == 0
    assert baselines.read(project.file("order")).update["reason"] == "one percent more"
    assert project.run("test_order.py").ret == pytest.ExitCode.OK


@pytest.mark.slow
def test_update_records_commit_and_whether_it_is_dirty(project: Project):
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("if lab.level == 2: metrics['error'][3] = np.nan", "error: 2 of 12 seeds differ, first seed 3: nan, stored"),
        (
            "if lab.level == 2: del metrics['error']",
            "toy/order (quick): arm 'high': no metric 'error'; available: ",
        ),
        ("if lab.level == 2: metrics['accuracy'] += .1", "arm 'high' has drifted: accuracy: 12 of 12 seeds differ"),
    ],
)
def test_change_of_one_metric_fails_its_arm(project: Project, code: str, message: str):
    project.recorded()
    project.change(code)
    result = project.run("test_order.py::arm[low-quick]", "test_order.py::arm[high-quick]")
    result.assert_outcomes(passed=1, failed=1)
    assert count_lines(result, message) == 1


def test_metric_that_claim_no_longer_has_fails_arm(project: Project):
    project.recorded()
    claim = (project.folder / "test_order.py").read_text()
    (project.folder / "test_order.py").write_text(claim.replace(', "text": {ACCURACY: 0.5}', ""))
    result = project.run("test_order.py")
    result.assert_outcomes(passed=2, failed=1)
    assert count_lines(result, "arm 'high' has drifted: accuracy is no longer measured") == 1


def test_arm_that_is_not_stored_fails(project: Project):
    project.recorded().edit("order", lambda stored: stored.arms.pop("high"))
    result = project.run("test_order.py")
    result.assert_outcomes(passed=2, failed=1)
    assert (
        count_lines(
            result, "no baseline for arm 'high'; if the change is intentional, record it with --claims-update REASON"
        )
        == 1
    )


@pytest.mark.slow
def test_relation_that_is_gone_fails_until_all_is_recorded(project: Project):
    project.recorded().edit("top", lambda stored: stored.environment.update(numpy="0.1"))
    claim = (project.folder / "test_top.py").read_text()
    (project.folder / "test_top.py").write_text(claim.replace('beats("top", "low", ERROR), ', ""))
    message = "'top beats low on error' is in the baseline, but no longer in the claim; if the change is intentional"
    assert count_lines(project.run("test_top.py"), message) == 3
    project.recorded("test_top.py", "-k", "arm")
    assert count_lines(project.run("test_top.py"), message) == 3
    project.recorded("test_top.py")
    assert baselines.read(project.file("top")).relations.keys() == {"low beats top on error"}
    assert project.run("test_top.py").ret == pytest.ExitCode.OK


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('"seeds": 12', '"seeds": 15', "edited by hand; restore it from version control"),
        ('"relations"', "", "not a complete baseline; restore it from version control"),
    ],
)
def test_broken_file_fails_and_is_not_overwritten_by_update(project: Project, before: str, after: str, message: str):
    file = project.recorded().file("order")
    broken = file.read_text().replace(before, after)
    file.write_text(broken)
    result = project.run("test_order.py")
    result.assert_outcomes(failed=3)
    assert count_lines(result, message) == 3
    result = project.run("test_order.py", "--claims-update", "anything")
    assert count_lines(result, message) == 1
    assert file.read_text() == broken


@pytest.mark.slow
def test_update_writes_only_selected_claim(project: Project):
    other = project.recorded().file("top")
    before = other.read_bytes(), other.stat().st_mtime_ns
    project.change("metrics['error'] *= 1.01")
    project.recorded("test_order.py")
    assert (other.read_bytes(), other.stat().st_mtime_ns) == before


@pytest.mark.slow
def test_update_of_one_arm_keeps_others(project: Project):
    stored = baselines.read(project.recorded().file("order"))
    project.change("metrics['error'] *= 1.01")
    project.recorded("test_order.py", "-k", "arm and high")
    current = baselines.read(project.file("order"))
    assert current.arms["low"] == stored.arms["low"]
    assert current.arms["high"] != stored.arms["high"]
    assert current.relations == stored.relations


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--claims-seeds", "10"]])
def test_update_does_not_mix_results_of_other_circumstances(project: Project, options: list[str]):
    project.recorded()
    if not options:
        project.edit("order", lambda stored: stored.environment.update(numpy="0.1"))
    before = project.file("order").read_bytes()
    project.change("metrics['error'] *= 1.01")
    result = project.run("test_order.py::arm[low-quick]", "--claims-update", "half of it", *options)
    assert count_lines(result, "toy/order: not written: high, low beats high on error was measured on another") == 1
    assert project.file("order").read_bytes() == before
    project.recorded("test_order.py", *options)
    assert project.file("order").read_bytes() != before


@pytest.mark.slow
def test_update_writes_nothing_of_claim_with_error(project: Project):
    before = project.recorded().file("order").read_bytes()
    project.change("if lab.level == 2: raise ValueError('no luck')\nmetrics['error'] *= 1.1")
    result = project.run("--claims-update", "it crashes")
    result.assert_outcomes(passed=5, failed=2)
    assert count_lines(result, "toy/order: not written: one of its tests could not be run") == 1
    assert project.file("order").read_bytes() == before
    assert baselines.read(project.file("top")).update["reason"] == "it crashes"


@pytest.mark.slow
def test_update_without_changes_writes_nothing(project: Project):
    before = project.recorded().file("order").read_bytes()
    result = project.run("--claims-update", "no reason at all")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert count_lines(result, "toy/order (quick): unchanged") == 1
    assert project.file("order").read_bytes() == before


@pytest.mark.slow
def test_update_records_other_environment_of_equal_values(project: Project):
    here = baselines.read(project.recorded().file("order")).environment
    project.edit("order", lambda stored: stored.environment.update(numpy="0.1"))
    result = project.run("test_order.py", "--claims-update", "another torch")
    assert count_lines(result, "toy/order (quick): measured on: numpy 0.1 → ") == 1
    assert baselines.read(project.file("order")).environment == here


@pytest.mark.slow
def test_interrupted_update_writes_nothing(project: Project):
    project.change("if lab.level == 3: raise KeyboardInterrupt")
    result = project.run("--claims-update", "impatient", no_reraise_ctrlc=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert count_lines(result, "interrupted: no baseline was written") == 1
    assert list((project.folder / "baselines").rglob("*")) == []


@pytest.mark.slow
def test_workers_record_same_baselines_as_one_process(alone: Recorded, shared: Recorded):
    assert (alone.code, shared.code) == (1, 1)
    assert "created: 2/2 workers" in shared.output
    recorded = [{name: json.loads(text) for name, text in run.baselines.items()} for run in (alone, shared)]
    for stored in (stored for baseline in zip(*(run.values() for run in recorded), strict=True) for stored in baseline):
        assert stored.pop("cpu_seconds").keys() == stored["arms"].keys()
        stored.pop("digest")  # it includes the CPU seconds
    assert len(recorded[0]) == 2
    assert recorded[0] == recorded[1]


# CPU seconds


def set_cpu_seconds(project: Project, **seconds: float) -> None:
    """Replace the CPU seconds of the arms of toy/order."""
    project.edit("order", lambda stored: setattr(stored, "cpu_seconds", seconds))


@pytest.mark.slow
def test_baseline_has_cpu_seconds_of_each_arm(project: Project):
    stored = baselines.read(project.recorded("--claims-report", "out").file("order"))
    assert stored.cpu_seconds.keys() == {"low", "high"}
    assert all(seconds > 0 for seconds in stored.cpu_seconds.values())
    assert project.report()["times"]["cpu_seconds"]["toy/order (quick)"] == stored.cpu_seconds


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [{}, {"low": 1e-6, "high": 1e6}])
def test_cpu_seconds_are_not_compared(project: Project, seconds: dict[str, float]):
    set_cpu_seconds(project.recorded(), **seconds)
    assert project.run("test_order.py").ret == pytest.ExitCode.OK
    one, other = measured(cpu_seconds={"low": 1.0}), measured(cpu_seconds={"low": 2.0})
    assert baselines.changes(one, other) == []
    assert baselines.compare_arm(one, other, "low") == ([], [])


@pytest.mark.slow
def test_update_of_other_cpu_seconds_writes_nothing(project: Project):
    set_cpu_seconds(project.recorded(), low=1e-6, high=1e6)
    before = project.file("order").read_bytes()
    assert count_lines(project.run("--claims-update", "no reason at all"), "toy/order (quick): unchanged") == 1
    assert project.file("order").read_bytes() == before


@pytest.mark.slow
def test_update_of_one_arm_keeps_cpu_seconds_of_others(project: Project):
    set_cpu_seconds(project.recorded(), low=111.0, high=222.0)
    project.change("metrics['error'] *= 1.01")
    project.recorded("test_order.py", "-k", "arm and high")
    seconds = baselines.read(project.file("order")).cpu_seconds
    assert seconds["low"] == 111
    assert 0 < seconds["high"] < 222


@pytest.mark.slow
def test_update_of_relation_keeps_cpu_seconds_of_arms(project: Project):
    set_cpu_seconds(project.recorded(), low=111.0, high=222.0)
    project.edit("order", lambda stored: stored.relations["low beats high on error"].update(holds=15))
    project.recorded("test_order.py", "-k", "beats")
    assert baselines.read(project.file("order")).cpu_seconds == {"low": 111, "high": 222}


@pytest.mark.slow
def test_baseline_without_cpu_seconds_is_valid_and_gets_them(project: Project):
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


# other environments


def record_elsewhere(project: Project, factor: float = 1.0, **verdicts: Verdict) -> None:
    """Record toy/order with another version of torch, multiplied values and another verdict."""

    def change(stored: Baseline) -> None:
        stored.environment["numpy"] = "0.1"
        for arm in stored.arms.values():
            arm["metrics"] = {
                name: [value if value is None else factor * value for value in values]
                for name, values in arm["metrics"].items()
            }
        for relation in stored.relations.values():
            relation |= verdicts

    project.recorded().edit("order", change)


@pytest.mark.slow
def test_other_environment_may_have_similar_values(project: Project):
    record_elsewhere(project, 1.0001)
    result = project.run()
    assert result.ret == pytest.ExitCode.OK
    assert count_lines(result, "another environment (numpy 0.1 → ") == 1


@pytest.mark.slow
def test_other_environment_must_not_have_shifted_values(project: Project):
    record_elsewhere(project, 2.0)
    result = project.run("test_order.py")
    result.assert_outcomes(passed=1, failed=2)
    assert count_lines(result, "arm 'low' has drifted: error: median 1.037") == 1


@pytest.mark.slow
def test_other_environment_must_not_have_contradicting_verdict(project: Project):
    record_elsewhere(project, verdict=Verdict.NOT_REPRODUCED)
    result = project.run("test_order.py")
    result.assert_outcomes(passed=2, failed=1)
    assert (
        count_lines(result, "low beats high on error: REPRODUCED, stored NOT_REPRODUCED; if the change is intentional")
        == 1
    )


@pytest.mark.slow
def test_other_environment_may_decide_inconclusive_verdict(project: Project):
    record_elsewhere(project, verdict=Verdict.INCONCLUSIVE)
    result = project.run("test_order.py")
    assert result.ret == pytest.ExitCode.OK
    assert count_lines(result, "low beats high on error: REPRODUCED, stored INCONCLUSIVE") == 1


@pytest.mark.slow
def test_fewer_seeds_are_compared_without_verdicts(project: Project):
    project.recorded().change("metrics['error'][np.array(seeds) >= 10] *= 2")
    project.edit("order", lambda stored: stored.relations["low beats high on error"].update(verdict="NOT_REPRODUCED"))
    result = project.run("test_order.py", "--claims-seeds", "10")
    assert result.ret == pytest.ExitCode.OK
    assert (
        count_lines(
            result,
            "toy/order (quick): 10 seeds, 12 stored; verdicts are not compared",
        )
        == 1
    )
    assert count_lines(result, "10/10") == 1

    project.change("metrics['error'][np.array(seeds) == 9] *= 2")
    result = project.run("test_order.py", "--claims-seeds", "10")
    result.assert_outcomes(passed=1, failed=2)
    assert count_lines(result, "error: 1 of 10 seeds differ, first seed 9") == 2


def test_results_of_overridden_settings_are_not_compared(project: Project):
    result = project.run("test_order.py", "--claims-set", "toy.noise=5")
    assert result.ret == pytest.ExitCode.OK
    assert count_lines(result, "toy.noise=5.0 overridden: results are not compared with the baselines") == 1
