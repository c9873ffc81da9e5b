"""Run all checks, one after another regardless of failures, and print a summary.

Exit status: 0 if all passed, 1 if a claim has drifted, 2 for another failure, 3 if something could not be run.
"""

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

REPORT = Path("report")
WORKERS = str(min(os.cpu_count() or 1, 4))
CLAIMS = ["pytest", "tests/claims", "-n", WORKERS]
STEPS = {
    "lint": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "."],
    "types": ["mypy"],
    "unit tests": ["pytest", "tests/unit", "-n", WORKERS],
    "claims, quick": [*CLAIMS, "-m", "not gpu", "--claims-report", str(REPORT / "quick")],
    "claims, full size": [*CLAIMS, "-m", "gpu", "--claims-resume", "--claims-report", str(REPORT / "full")],
    "benchmarks": ["pytest", "tests/benchmarks", "--benchmark-only"],
}
OUTCOMES = ["passed", "drift", "failure", "error"]
INTERRUPTED = "interrupted; later steps did not run"


def run(command: list[str], junit: Path) -> tuple[str, str]:
    """Run a step, and return its outcome and the counts of its tests."""
    tests = command[0] == "pytest"
    junit.unlink(missing_ok=True)
    try:
        code = subprocess.run([*command, *([f"--junitxml={junit}"] if tests else [])], check=False).returncode
    except OSError as error:
        return "error", str(error)
    if not tests:
        return ("failure" if code else "passed"), ""
    return count_tests(code, junit)


def count_tests(code: int, junit: Path) -> tuple[str, str]:
    """Return the outcome of a run of pytest and the counts of its tests, from its exit status and JUnit XML."""
    try:
        cases = list(ET.parse(junit).iter("testcase"))
    except (OSError, ET.ParseError):
        return "error", f"pytest exited with status {code} and left no results"
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    drifted = [case for case in failed if case.find(".//property[@name='drift']") is not None]
    skipped = [case for case in cases if case.find("skipped") is not None]
    passed = len(cases) - len(failed) - len(skipped)
    counts = {"passed": passed, "drifted": len(drifted), "failed": len(failed) - len(drifted), "skipped": len(skipped)}
    summary = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    if code > 1:
        return "error", f"{summary or 'nothing ran'}; pytest exited with status {code}"
    return ("passed" if code == 0 else "drift" if failed and drifted == failed else "failure"), summary


def main() -> int:
    """Run all steps and return the exit status."""
    REPORT.mkdir(exist_ok=True)
    rows = []
    for name, command in STEPS.items():
        print(f"\n=== {name}: {' '.join(command)}", flush=True)
        start = time.monotonic()
        try:
            outcome, summary = run(command, REPORT / f"{name.replace(', ', '-').replace(' ', '-')}.xml")
        except KeyboardInterrupt:
            outcome, summary = "error", INTERRUPTED
        rows.append((name, outcome, f"{(time.monotonic() - start) / 60:.1f} min", summary))
        if summary == INTERRUPTED:
            break
    print("\n=== summary")
    for name, outcome, minutes, summary in rows:
        print(f"{name:18} {outcome:8} {minutes:>10}  {summary}")
    return max(OUTCOMES.index(outcome) for _, outcome, *_ in rows)


if __name__ == "__main__":
    sys.exit(main())
