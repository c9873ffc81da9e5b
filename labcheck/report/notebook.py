"""A claim judged in Python, such as in a notebook: without pytest, and without baselines."""

import html
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labcheck.core.claims import Claim
from labcheck.core.trials import Trials
from labcheck.core.verdicts import Verdict
from labcheck.engine import environment
from labcheck.engine.checks import build_checks
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


def check(claim: Claim, *, seeds: int | None = None, scale: str = "quick", device: str = "cpu") -> CheckedClaim:
    """Train the arms of a claim in this process, and judge it. Nothing is stored.

    Args:
        claim: The claim. Without an id, it has that of its lab and "/claim".
        seeds: The number of seeds of each arm; None to train until the claim is decided.
        scale: The scale, "quick" or "full".
        device: "cpu", "cuda" or "cuda:<i>".

    Raises:
        ClaimError: The claim is invalid.
        DataError: Some data is missing.
        NotMeasuredError: An arm cannot be trained, or does not provide a metric that the claim needs.
        ValueError: The claim has no such scale, or the number of seeds is not positive.
    """
    specs = [spec for spec in build_checks(claim.named("claim", "claim")) if spec.scale == scale]
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
