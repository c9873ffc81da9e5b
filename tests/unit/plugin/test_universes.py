"""Sessions with --claims-universes: what is trained, compared and recorded in each universe."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.helpers.project import Project, assert_no_internals, count_lines, is_in_one_line, output
from tests.helpers.report import SCHEMA

OWN = """
claim = Claim(
    id="toy/own",
    statement="Little noise is better.",
    lab=Toy,
    arms={"little": Arm({"noise": 0.1}), "much": Arm({"noise": 0.3, "level": 9.0})},
    relations=[beats("little", "much", ERROR)],
    seeds={"quick": 12},
)
"""
RECORD = ("--claims-universes", "all", "--claims-update", "first")


def universes(project: Project, claim: str = "order") -> Path:
    return project.folder / "baselines" / "toy" / claim / "universes-quick-drawn.json"


def stored(project: Project, claim: str = "order") -> dict[str, Any]:
    content: dict[str, Any] = json.loads(universes(project, claim).read_text())
    return content


@pytest.fixture
def one(project: Project) -> Project:
    """Return a project with the claim toy/order only."""
    (project.folder / "test_top.py").unlink()
    return project


def test_claim_is_trained_once_in_each_universe(one: Project):
    result = one.run("-v", "--claims-universes", "all")
    result.assert_outcomes(passed=3)
    for name in ("assumed", "noise=0.2", "noise=0.5"):
        assert count_lines(result, f"universe[{name}-quick]") == 1
    assert is_in_one_line(result, "toy/order: REPRODUCED in all 3 universes")
    assert is_in_one_line(result, "universes without stored results are not compared")
    assert not (one.folder / "baselines").exists()


def test_recorded_universes_are_compared(one: Project):
    assert one.run(*RECORD).ret == pytest.ExitCode.TESTS_FAILED
    content = stored(one)
    assert content["grid"] == {"noise": [0.1, 0.2, 0.5]}
    assert {name: part["settings"] for name, part in content["universes"].items()} == {
        "assumed": {},
        "noise=0.2": {"noise": 0.2},
        "noise=0.5": {"noise": 0.5},
    }
    assert not one.file("order").exists()
    one.run("--claims-universes", "all").assert_outcomes(passed=3)
    one.change("if lab.noise == 0.5 and lab.level == 1: metrics['error'][2] *= 1.01")
    result = one.run("--claims-universes", "all")
    result.assert_outcomes(passed=2, failed=1)
    assert is_in_one_line(result, "universe 'noise=0.5': arm 'low' has drifted: error: 2 of 12 seeds differ")


def test_universe_equals_a_run_with_its_settings(one: Project):
    one.run(*RECORD)
    seeds = stored(one)["universes"]["noise=0.5"]["seeds"]
    one.run("--claims-set", "toy.noise=0.5", "--claims-seeds", str(seeds), "--claims-report", "out")
    [claim] = one.report()["claims"]
    universe = stored(one)["universes"]["noise=0.5"]
    assert {arm["name"]: arm["metrics"] for arm in claim["arms"]} == universe["metrics"]
    assert [relation["holds"] for relation in claim["relations"]] == [
        relation["holds"] for relation in universe["relations"].values()
    ]


def test_seeds_are_added_until_each_universe_is_decided(one: Project):
    one.change("metrics['error'][:] = metrics['error'] if lab.noise == 0.1 else np.arange(6) % 2 + 0.1 * lab.level")
    one.run(*RECORD)
    assert {name: part["seeds"] for name, part in stored(one)["universes"].items()} == {
        "assumed": 12,
        "noise=0.2": 12,
        "noise=0.5": 12,
    }
    one.change("metrics['error'][:] = [1, 2, 1, 2, 1, 2] if lab.level == 1 and lab.noise > 0.1 else 1.5")
    one.run(*RECORD)
    assert stored(one)["universes"]["noise=0.2"]["seeds"] == 16


def test_universes_that_change_no_arm_are_one(one: Project):
    one.write("test_order.py", OWN)
    one.run(*RECORD).assert_outcomes(passed=1)
    assert list(stored(one, "own")["universes"]) == ["assumed"]
    assert len(one.trained()) == 2 * 2  # two arms, two blocks of six seeds


def test_workers_share_universes(one: Project):
    one.run(*RECORD)
    serial = stored(one)["universes"]
    universes(one).unlink()
    one.run_in_subprocess("-n", "2", *RECORD)
    parallel = stored(one)["universes"]
    for content in (serial, parallel):
        for part in content.values():
            del part["cpu_seconds"]
    assert parallel == serial


def test_update_of_some_universes_keeps_the_others(one: Project):
    one.run(*RECORD)
    before = stored(one)["universes"]
    one.change("metrics['error'] *= 3")
    result = one.run(*RECORD, "-k", "universe and 0.5")
    assert is_in_one_line(result, "not written: the universe 'assumed' was not measured; select its test, too")
    assert stored(one)["universes"] == before
    result = one.run(*RECORD, "-k", "assumed or 0.5")
    after = stored(one)["universes"]
    assert after["noise=0.2"] == before["noise=0.2"]
    assert after["noise=0.5"]["metrics"] != before["noise=0.5"]["metrics"]
    assert is_in_one_line(result, "universe noise=0.5: REPRODUCED → REPRODUCED")


def test_edited_file_of_universes_fails(one: Project):
    one.run(*RECORD)
    universes(one).write_text(universes(one).read_text().replace('"seeds": 12', '"seeds": 6', 1))
    result = one.run("--claims-universes", "all")
    result.assert_outcomes(failed=3)
    assert count_lines(result, "universes-quick-drawn.json: edited by hand; restore it from version control") == 3
    assert_no_internals(result)


def test_file_of_universes_is_used_by_ordinary_runs(one: Project):
    one.recorded().run(*RECORD)
    assert "no collected claim uses" not in output(one.run("."))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--claims-universes", "0"], "must be a positive number, or all, got '0'"),
        (["--claims-universes", "2"], "--claims-universes"),
        (["--claims-universes", "all", "--claims-set", "toy.noise=0.2"], "leave out --claims-set"),
    ],
)
def test_wrong_number_of_universes_is_refused(one: Project, arguments: list[str], message: str):
    result = one.run(*arguments)
    assert result.ret != pytest.ExitCode.OK
    assert is_in_one_line(result, message)
    assert not one.trained()


def test_page_shows_stored_universes(one: Project):
    one.recorded().run(*RECORD)
    one.run("--claims-report", "out").assert_outcomes(passed=3)
    report = one.report()
    jsonschema.validate(report, SCHEMA)
    [claim] = report["claims"]
    assert claim["universes"]["verdicts"] == {"REPRODUCED": 3}
    assert claim["universes"]["grid"] == {"noise": [0.1, 0.2, 0.5]}
    assert [origin["lab"] for origin in report["origins"]] == ["toy"]
    text = one.page_text()
    for shown in ("REPRODUCED in all 3 universes.", "3 of 3 combinations.", "Which settings did the reports use?"):
        assert shown in text


def test_page_of_run_with_universes_shows_them(one: Project):
    one.run("--claims-universes", "all", "--claims-report", "out").assert_outcomes(passed=3)
    jsonschema.validate(one.report(), SCHEMA)
    assert "REPRODUCED in all 3 universes." in one.page_text()
