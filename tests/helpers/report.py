"""Claims about given numbers, the records and reports that result from them, and the claims of this repository."""

import html
import importlib.util
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from labcheck import Arm, Claim, Data, Lab, Metric, Relation, Trials, beats
from labcheck.engine.checks import CheckSpec, build_checks
from labcheck.engine.claim_results import ClaimResult
from labcheck.engine.session import Session
from labcheck.engine.store import TrialStore
from labcheck.report.document import RunInfo
from labcheck.report.summary import add_summaries

SCHEMA = json.loads((files("labcheck.report") / "report.schema.json").read_text())
"""The schema of report.json."""
ROOT = Path(__file__).parents[2]
"""The folder of this repository."""
MODULES = sorted((ROOT / "tests" / "claims").rglob("test_*.py"))
"""The modules of the claims of this repository."""
ERROR = Metric("error", higher_is_better=False)
ACCURACY = Metric("accuracy", higher_is_better=True, ratio=False)
ONE, TWO = "relation[a beats b on error", "relation[b beats a on error"
"""The names of the tests of the relations of `ordered_claim`, without their scale."""
RUN = RunInfo()
TIMES = {"finished": "2026-01-01T00:00:00+00:00", "seconds": 1.0, "cpu_seconds": {}}
"""The times of a report."""
WILD = "<b>wild</b> & 'free'"
"""A name that must be escaped."""


@dataclass(frozen=True, kw_only=True)
class Literal(Lab):
    """A lab whose results are its settings."""

    name: ClassVar[str] = "literal"

    values: Sequence[float] = (1.0, 2.0, 3.0, 4.0)

    def stack(self, device: str) -> int:
        """All seeds."""
        return len(self.values)

    @classmethod
    def data(cls) -> Data:
        """Return data without content."""
        return Data("none", "0")

    def train(self, seeds: Sequence[int], device: str = "cpu") -> Trials:
        """Return the setting `values` as error and as accuracy."""
        values = np.array(self.values)
        return Trials({"error": values, "accuracy": values, "epochs": np.ones(len(values))}, {})


def literal_claim(relations: Sequence[Relation], arms: dict[str, Arm], seeds: int, name: str = "one") -> Claim:
    """Return a claim about arms of `Literal`."""
    return Claim(
        id=f"literal/{name}", statement="", citation="", lab=Literal, arms=arms, relations=relations,
        seeds={"quick": seeds},
    )  # fmt: skip


def two_arms(a: Sequence[float], b: Sequence[float]) -> dict[str, Arm]:
    """Return the arms a and b with these values."""
    return {"a": Arm({"values": tuple(a)}), "b": Arm({"values": tuple(b)})}


def printing(values: Iterable[float], *printed: float) -> Arm:
    """Return an arm with these values, for which a report prints these errors."""
    return Arm({"values": tuple(values)}, {f"Table {table}": {ERROR: value} for table, value in enumerate(printed)})


def run_check(spec: CheckSpec, session: Session) -> ClaimResult:
    """Return the result of a check with the summaries of its arms, as the plugin sends it to the reporter."""
    check = spec.resolve(session)
    ended = check.run()
    add_summaries(check, ended)
    return ended.result


def record_one(folder: Path, subject: str, arms: dict[str, Arm], seeds: int = 4, name: str = "one") -> dict[str, Any]:
    """Return the record of one check of the claim that a beats b and b beats a on the error.

    Args:
        folder: An empty folder.
        subject: The name of the test up to its scale, such as "arm[a".
        arms: The arms by name.
        seeds: The number of seeds.
        name: The second half of the claim's id.
    """
    claim = literal_claim([beats("a", "b", ERROR), beats("b", "a", ERROR)], arms, seeds, name)
    (spec,) = (spec for spec in build_checks(claim) if spec.name == f"{subject}-quick]")
    return asdict(run_check(spec, Session(TrialStore(folder), folder / "none")))


def record_all(folder: Path, name: str, /, *relations: Relation, **arms: Arm) -> list[dict[str, Any]]:
    """Return the records of all checks of a claim about arms that have equally many values.

    Args:
        folder: An empty folder.
        name: The second half of the claim's id.
        relations: The relations.
        arms: The arms by name.
    """
    claim = literal_claim(relations, arms, len(next(iter(arms.values())).settings["values"]), name)
    session = Session(TrialStore(folder), folder / "none", update=True)
    return [asdict(run_check(spec, session)) for spec in build_checks(claim)]


def without_times(report: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a report that is the same whenever its run is repeated."""
    return {key: value for key, value in report.items() if key != "times"}


def visible_text(page: str) -> str:
    """Return the text of a page, in which each stretch of white space is one blank."""
    shown = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", shown)))


def load_claim(module: Path) -> Claim:
    """Return the claim of a module."""
    spec = importlib.util.spec_from_file_location(module.stem, module)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    claim: Claim = loaded.claim
    return claim
