"""The schema of report.json."""

import copy
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from tests.helpers.project import Recorded
from tests.helpers.report import SCHEMA

Change = Callable[[dict[str, Any]], object]


@pytest.mark.slow
def test_reports_are_valid(real: dict[str, Any], alone: Recorded) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for report in (real, alone.report):
        jsonschema.validate(report, SCHEMA)


def entry(**changes: Any) -> Change:
    """Return a function that changes entries of a claim."""
    return lambda claim: claim.update(changes)


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        entry(verdict="MAYBE"), entry(seeds=0), entry(more=1), entry(id="boston"), entry(environment=None),
        entry(decisive=1), entry(units={}), entry(evidence=[]), entry(source=""), entry(assumptions=[]),
        entry(scaled=[{"setting": "epochs", "value": 3}]),
        lambda claim: claim.pop("command"),
        lambda claim: claim.pop("citation"),
        lambda claim: claim.pop("scaled"),
        lambda claim: claim.pop("decisive"),
        lambda claim: claim["data"].pop("stand_in"),
        lambda claim: claim["data"].update(stand_in="no"),
        lambda claim: claim["metrics"]["test_mse"].pop("unit"),
        lambda claim: claim["metrics"]["test_mse"].update(curve=None),
        lambda claim: claim["arms"][0]["curves"]["val_loss"].pop("low"),
        lambda claim: claim["arms"][0]["curves"]["val_loss"].pop("unit"),
        lambda claim: claim["arms"][0]["metrics"].update(test_mse=["NaN"]),
        lambda claim: claim["arms"][0].update(after=list(range(121))),
        lambda claim: claim["relations"][0].update(lower=1.5),
        lambda claim: claim["relations"][0].update(tag="odd"),
        lambda claim: claim["relations"][0].update(kind="number"),
        lambda claim: claim["relations"][0].update(kind="other"),
        lambda claim: claim["relations"][0].pop("holds"),
        lambda claim: claim["unstated"][0].update(grade="stated"),
        lambda claim: claim["unstated"][0].pop("alternatives"),
        lambda claim: claim["unstated"][0].update(why="so"),
    ],
)  # fmt: skip
def test_invalid_claim_is_refused(real: dict[str, Any], change: Change) -> None:
    claim = copy.deepcopy(real["claims"][0])
    change(claim)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(real | {"claims": [claim]}, SCHEMA)


def test_learned_function_has_200_points(real: dict[str, Any]) -> None:
    tables = {claim["id"].partition("/")[0]: claim["arms"][0]["tables"] for claim in real["claims"]}
    assert {lab: set(tables[lab]) for lab in ("curve", "sine", "trig")} == {
        "curve": {"grid_x", "grid_true", "grid_fit"},
        "sine": {f"{weights}grid_{name}" for weights in ("", "final_") for name in ("x", "true", "fit")},
        "trig": {"grid_x", "grid_error"},
    }
    for lab in ("curve", "sine", "trig"):
        assert {len(table["median"]) for table in tables[lab].values()} == {200}
    assert tables["curve"]["grid_x"]["median"][0] == -5
    assert tables["sine"]["grid_true"]["median"][50] == 1
