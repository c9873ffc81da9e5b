"""Everything, one step after the other whether or not the one before went well; at the end a summary.

Exit codes: 0, all is well; 1, a claim has drifted; 2, something else failed; 3, something could not be run.
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
OUTCOMES = ["well", "drift", "failure", "error"]
INTERRUPTED = "interrupted, and nothing after it was run"


def run(command: list[str], junit: Path) -> tuple[str, str]:
    """Run a step, and say how it went and what it counted."""
    tests = command[0] == "pytest"
    junit.unlink(missing_ok=True)
    try:
        code = subprocess.run([*command, *([f"--junitxml={junit}"] if tests else [])], check=False).returncode
    except OSError as error:
        return "error", str(error)
    if not tests:
        return ("failure" if code else "well"), ""
    return told(code, junit)


def told(code: int, junit: Path) -> tuple[str, str]:
    """What pytest's exit code and its file of results say."""
    try:
        cases = list(ET.parse(junit).iter("testcase"))
    except (OSError, ET.ParseError):
        return "error", f"pytest ended with {code} and counted nothing"
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    drifted = [case for case in failed if case.find(".//property[@name='drift']") is not None]
    skipped = [case for case in cases if case.find("skipped") is not None]
    passed = len(cases) - len(failed) - len(skipped)
    counts = {"passed": passed, "drifted": len(drifted), "failed": len(failed) - len(drifted), "skipped": len(skipped)}
    counted = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    if code > 1:
        return "error", f"{counted or 'nothing ran'}; pytest ended with {code}"
    return ("well" if code == 0 else "drift" if failed and drifted == failed else "failure"), counted


def main() -> int:
    """Run the steps, and give the exit code."""
    REPORT.mkdir(exist_ok=True)
    rows = []
    for name, command in STEPS.items():
        print(f"\n=== {name}: {' '.join(command)}", flush=True)
        start = time.monotonic()
        try:
            outcome, counted = run(command, REPORT / f"{name.replace(', ', '-').replace(' ', '-')}.xml")
        except KeyboardInterrupt:
            outcome, counted = "error", INTERRUPTED
        rows.append((name, outcome, f"{(time.monotonic() - start) / 60:.1f} min", counted))
        if counted == INTERRUPTED:
            break
    print("\n=== summary")
    for name, outcome, minutes, counted in rows:
        print(f"{name:18} {outcome:8} {minutes:>10}  {counted}")
    return max(OUTCOMES.index(outcome) for _, outcome, *_ in rows)


if __name__ == "__main__":
    sys.exit(main())
