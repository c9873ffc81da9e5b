"""A report of small trainings in real labs."""

import json
from dataclasses import asdict
from typing import Any

import pytest

from labcheck import Arm, Claim, beats, consistent_with, reaches, stays_worse_than
from labcheck.engine.checks import build_checks
from labcheck.engine.session import Session
from labcheck.engine.store import TrialStore
from labcheck.labs.boston import FINAL_LOSS, TEST_MSE, Boston
from labcheck.labs.curve import GRID_MSE, Curve
from labcheck.labs.fashion import TEST_ACCURACY, Fashion
from labcheck.labs.images import accuracy
from labcheck.labs.sine import TEST_MSE as SINE_MSE
from labcheck.labs.sine import Sine
from labcheck.labs.trig import VAL_MSE, Trig
from labcheck.report import page
from labcheck.report.document import RunInfo, document, gather
from tests.helpers.report import TIMES, WILD, run_check

CLAIMS = [
    Claim(
        id="boston/small", statement=f"One is {WILD}.", citation='"Table 1" <here>', lab=Boston, seeds={"quick": 3},
        arms={
            "tame": Arm({"lr": 0.001, "epochs": 3}, {"Table 1": {TEST_MSE: 12.5}, "text": {TEST_MSE: float("nan")}}),
            WILD: Arm({"lr": 10.0, "epochs": 3}),
        },
        relations=[beats("tame", WILD, TEST_MSE), reaches("tame", 1e9, FINAL_LOSS)],
    ),
    Claim(
        id="curve/small", statement="", citation="", lab=Curve, seeds={"quick": 2},
        arms={"f": Arm({"epochs": 115, "hidden": (8, 8)})}, relations=[reaches("f", 1.0, GRID_MSE)],
    ),
    Claim(
        id="fashion/small", statement="", citation="", lab=Fashion, seeds={"quick": 2},
        arms={"base": Arm({"hidden": 4, "epochs": 1}, {"Table": {TEST_ACCURACY: 0.5, accuracy("test", 3): 0.4321}})},
        relations=[reaches("base", 0.1, TEST_ACCURACY), consistent_with("base", 0.9876, TEST_ACCURACY, images=10_000)],
    ),
    Claim(
        id="sine/small", statement="", citation="", lab=Sine, seeds={"quick": 2},
        arms={"s": Arm({"epochs": 2, "samples": 100})}, relations=[stays_worse_than("s", 9.0, SINE_MSE)],
    ),
    Claim(
        id="trig/small", statement="", citation="", lab=Trig, seeds={"quick": 2},
        arms={"t": Arm({"max_epochs": 2, "samples": 100})}, relations=[reaches("t", 1.0, VAL_MSE)],
    ),
]  # fmt: skip


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return a report of labs of each kind, in one of which an arm diverges; tests must not change it."""
    folder = tmp_path_factory.mktemp("trials")
    session = Session(TrialStore(folder), folder / "none", update=True)
    results = [run_check(spec, session) for claim in CLAIMS for spec in build_checks(claim)]
    run = RunInfo({claim.id: f"tests/test {claim.id}.py" for claim in CLAIMS}, times=TIMES)
    report: dict[str, Any] = json.loads(json.dumps(document(gather(map(asdict, results)), run), allow_nan=False))
    return report


@pytest.fixture(scope="session")
def real_page(real: dict[str, Any]) -> str:
    """Return the page of that report."""
    return page.render(real)
