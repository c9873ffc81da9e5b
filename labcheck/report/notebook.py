"""A claim judged in Python, such as in a notebook: without pytest, and without baselines."""

import html
import inspect
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labcheck.core.claims import Claim
from labcheck.core.trials import Trials
from labcheck.core.verdicts import Verdict
from labcheck.engine import environment
from labcheck.engine.checks import build_checks, require_different_arms
from labcheck.engine.session import Session
from labcheck.engine.store import TrialStore
from labcheck.report import document, terminal
from labcheck.report.summary import add_summaries

HEIGHT = 900
"""The height of the page in a notebook, in pixels."""


@dataclass(frozen=True)
class CheckedClaim:
    """A judged claim, which a notebook shows as its page, and a terminal as its table.

    Attributes:
        verdict: The verdict.
        trials: The trials of each arm, by name.
        report: The content of report.json.
        table: The lines of the table, and notes about the claim.
    """

    verdict: Verdict
    trials: dict[str, Trials]
    report: dict[str, Any]
    table: list[str]

    def __str__(self) -> str:
        return "\n".join(self.table)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from labcheck.report import page

        content = html.escape(page.render(self.report))
        return f'<iframe srcdoc="{content}" style="width: 100%; height: {HEIGHT}px; border: 0"></iframe>'


def _variable(claim: Claim) -> str:
    """Return the name of the caller's variable that holds a claim; "claim" if there is none."""
    frame = inspect.stack()[2].frame  # that of the caller of `check`
    names = {**frame.f_globals, **frame.f_locals}.items()
    return next((name for name, value in names if value is claim and not name.startswith("_")), "claim")


def check(claim: Claim, *, seeds: int | None = None, scale: str = "quick", device: str = "cpu") -> CheckedClaim:
    """Train the arms of a claim in this process, and judge it. Nothing is stored.

    Args:
        claim: The claim. Without an id, it has one of the names of its lab and its variable.
        seeds: The number of seeds of each arm; None to train until the claim is decided.
        scale: The scale, "quick" or "full".
        device: "cpu", "cuda" or "cuda:<i>".

    Raises:
        ClaimError: The claim is invalid.
        DataError: Some data is missing.
        NotMeasuredError: An arm cannot be trained, or does not provide a metric that the claim needs.
        ValueError: The claim has no such scale, or the number of seeds is not positive.
    """
    specs = [spec for spec in build_checks(claim.named("claim", _variable(claim))) if spec.scale == scale]
    require_different_arms(specs)
    if not specs:
        raise ValueError(f"scale must be one of {', '.join(claim.scales)}, got {scale!r}")
    if seeds is not None and seeds < 1:
        raise ValueError(f"seeds must be a positive number, got {seeds}")
    records: list[dict[str, Any]] = []
    notes: list[str] = []
    trials: dict[str, Trials] = {}
    with tempfile.TemporaryDirectory(prefix="labcheck-") as folder:
        store = TrialStore(Path(folder), shared=False)
        session = Session(store, Path(folder), device, None if seeds is None else range(seeds), update=True)
        with environment.deterministic():
            checks = [spec.resolve(session) for spec in specs]
            for one in checks:
                result = one.run()
                trials |= {arm: result.trials[arm] for arm in result.result.current.arms}
                add_summaries(one, result)
                records.append(asdict(result.result))
                notes += result.notes
    results = document.gather(records)
    [judged] = results.claims
    assert judged.verdict is not None
    report = document.document(results, document.RunInfo(times={"finished": "", "seconds": 0.0, "cpu_seconds": {}}))
    table = [*terminal.table(results.claims), *dict.fromkeys(notes)]
    return CheckedClaim(judged.verdict, trials, report, table)
