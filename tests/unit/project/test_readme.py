"""The examples and commands of the README and of the documentation.

Every block of Python is executed; a block marked `py` depends on another one. Where a comment promises a value, the
value is compared with the promise.
"""

import ast
import importlib.util
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from labcheck import Claim
from labcheck.engine.checks import build_checks
from labcheck.plugin import options
from tests.helpers.report import MODULES, ROOT, load_claim

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PROMISES: dict[str, Callable[[Any, re.Match[str], dict[str, Any]], bool]] = {
    r"\((\d+),\)": lambda value, match, names: value.shape == (int(match[1]),),
    r"\((\d+), epochs\)": lambda value, match, names: (
        (len(value), value.shape[1]) == (int(match[1]), names["trials"].metrics["epochs"].max())
    ),
    r"one per seed": lambda value, match, names: value.shape == (len(names["trials"]),),
    r"number of epochs at each record of trials\.curves\[\"(\w+)\"\]": lambda value, match, names: (
        len(value) == names["trials"].curves[match[1]].shape[1] and (np.diff(value) > 0).all()
    ),
    r"above ([\d.]+)": lambda value, match, names: value.item() > float(match[1]),
}
"""What a comment beside an expression promises → a function that compares the value with it."""


def blocks(page: Path, *languages: str) -> list[str]:
    """Return the fenced blocks of a page in these languages."""
    return [text for language, text in FENCE.findall(page.read_text(encoding="utf-8")) if language in languages]


def named(page: Path) -> str:
    """Return the path of a page within the repository."""
    return str(page.relative_to(ROOT))


EXAMPLES = {
    f"{named(page)}-{number}": text for page in PAGES for number, text in enumerate(blocks(page, "python"), start=1)
}
"""All blocks of Python, which must run on their own."""


def example(text: str, language: str = "python") -> str:
    """Return the only example that contains a text."""
    [match] = {block for page in PAGES for block in blocks(page, language) if text in block}
    return match


COMMANDS = (".venv/", "pip ", "pytest ", "python", "source ")


def commands() -> list[tuple[Path, str]]:
    """Return all indented commands of all pages."""
    return [
        (page, command)
        for page in PAGES
        for line in FENCE.sub("", page.read_text(encoding="utf-8")).replace("\\\n", "").splitlines()
        if line.startswith("    ") and (command := " ".join(line.split())).startswith(COMMANDS)
    ]


def promises(text: str) -> list[tuple[str, str]]:
    """Return each top-level expression of an example, with the comment beside it."""
    lines = text.splitlines()
    return [
        (ast.unparse(statement), lines[statement.lineno - 1].partition("  # ")[2])
        for statement in ast.parse(text).body
        if isinstance(statement, ast.Expr) and not isinstance(statement.value, ast.Constant)
    ]


def load(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Run an example as a module, in which classes and functions have names."""
    file = folder / "example_of_docs.py"
    file.write_text(text)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, file.stem, module)
    spec.loader.exec_module(module)
    return module


# examples


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_example_runs_and_keeps_promises(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = load(EXAMPLES[name], tmp_path, monkeypatch)
    claims = [value.named(module.__name__, name) for name, value in vars(module).items() if isinstance(value, Claim)]
    assert all(build_checks(claim) for claim in claims)
    for expression, comment in promises(EXAMPLES[name]):
        names = vars(module)
        value = eval(expression, names)
        matched = [(fits, match) for promise, fits in PROMISES.items() if (match := re.search(promise, comment))]
        assert matched, f"{expression}: state its shape or value in a comment that PROMISES contains, or assert it"
        for fits, match in matched:
            assert fits(value, match, names), f"{expression}: {comment}"


def test_example_states_something() -> None:
    """An example that neither defines nor asserts anything cannot fail."""
    for name, text in EXAMPLES.items():
        stated = (ast.Assert, ast.ClassDef, ast.Assign, ast.AnnAssign)
        assert any(isinstance(node, stated) for node in ast.walk(ast.parse(text))) or text.startswith("from "), name
    assert sum(bool(promises(text)) for text in EXAMPLES.values()) >= 3


def test_readme_has_one_claim_of_ten_lines() -> None:
    [claim] = blocks(ROOT / "README.md", "python")
    assert claim == example("boston/batch")  # the same in all pages
    assert len(claim.partition("claim = ")[2].splitlines()) <= 10


def record_and_compare(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    """Record the baselines of a project, and return the result of the next run."""
    recorded = pytester.runpytest_inprocess(*options, "--claims-update", "a look")
    assert recorded.ret == pytest.ExitCode.TESTS_FAILED
    return pytester.runpytest_inprocess(*options)


@pytest.mark.slow
def test_claim_of_readme_is_recorded_and_compared(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_batch=example("boston/batch"))
    second = record_and_compare(pytester, "--claims-seeds", "2")
    second.assert_outcomes(passed=3)
    second.stdout.fnmatch_lines(
        ["boston/batch  INCONCLUSIVE  0 / 0 / 1 *2  *boston", "* 16 beats 128 on test_mse; ours *, printed - : 14.2*"]
    )


@pytest.mark.slow
def test_claim_about_subclass_is_recorded_and_compared(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_dropout=example("class DropoutBoston(Boston)"))
    second = record_and_compare(pytester, "--claims-seeds", "2")
    second.assert_outcomes(passed=3)
    second.stdout.fnmatch_lines(
        ["boston-dropout/rate  INCONCLUSIVE  0 / 0 / 1 *2  *boston", "* with beats without on test_mse; ours *"]
    )


@pytest.mark.slow
def test_lab_of_docs_is_trained_and_resumed(pytester: pytest.Pytester) -> None:
    claim = example('id="digits/loss"', "py").replace('{"quick": 20}', '{"quick": 4}')
    claim = claim.replace('{"loss": "log_loss"}', '{"loss": "log_loss", "epochs": 3}')
    pytester.makepyfile(test_digits=example("class Digits(Lab)") + claim)
    second = record_and_compare(pytester, "--claims-resume")
    second.assert_outcomes(passed=4)
    second.stdout.fnmatch_lines(["8 of 8 blocks of seeds are available from an earlier run"])
    stored = json.loads((pytester.path / "baselines/digits/loss/quick-sklearn-digits.json").read_text())
    assert stored["arms"]["log"]["settings"] == {"loss": "log_loss", "epochs": 3}
    assert "scikit-learn " in stored["environment"]["packages"]


@pytest.mark.slow
def test_function_of_docs_is_recorded_and_compared(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_loss=example('@lab("digits", data='))
    second = record_and_compare(pytester, "--claims-seeds", "2")
    second.assert_outcomes(passed=3)
    second.stdout.fnmatch_lines(["digits/loss  INCONCLUSIVE  0 / 0 / 1 *2  *sklearn digits"])


# commands


def test_ci_runs_commands_of_readme() -> None:
    """CI installs and tests labcheck in a new environment exactly as the README does."""
    text = (ROOT / ".ci" / "run").read_text()
    steps = re.findall(r"^ *step (.*)$", text, re.MULTILINE)
    readme = [command for page, command in commands() if page.name == "README.md"]
    assert [command for command in readme if command in steps] == [
        "python3 -m venv .venv",
        "source .venv/bin/activate",
        'pip install -q -e ".[test]"',
        'pytest tests/unit -n 2 -m "not slow"',
    ]
    assert steps[:3] == readme[:3]
    [verdicts, every] = [command for command in readme if "pytest tests/claims" in command]
    assert verdicts.split()[1] in re.findall(r"^    (tests/claims/\S+)$", text, re.MULTILINE)
    assert every.split()[1] == "tests/claims"


@pytest.mark.parametrize(("page", "command"), commands(), ids=lambda value: getattr(value, "name", value))
def test_command_names_existing_paths_and_options(page: Path, command: str) -> None:
    for place in re.findall(r"(?<=\s)tests/[\w./]+", command):
        assert (ROOT / place).exists(), f"{named(page)}: {place}"
    parser = pytest.Parser(_ispytest=True)
    options.add_options(parser)
    known = {name for group in parser._groups for option in group.options for name in option.names()}
    assert set(re.findall(r"--claims-[a-z-]+", command)) <= known


SETTINGS = {command: re.findall(r"--claims-set (\w+)\.(\w+)=(\S+)", command) for _, command in commands()}


@pytest.mark.parametrize("command", [command for command, settings in SETTINGS.items() if settings])
def test_every_arm_accepts_overrides_of_command(command: str) -> None:
    [lab] = {lab for lab, _, _ in SETTINGS[command]}
    claims = [claim for claim in map(load_claim, MODULES) if claim.lab.name == lab]
    assert claims
    for claim in claims:
        changes = {name: claim.lab.parse(name, value) for _, name, value in SETTINGS[command]}
        for name, arm in claim.configure(claim.scales[0]).items():
            allowed = {key: value for key, value in changes.items() if key not in claim.arms[name].settings}
            changed = arm.override(allowed)
            assert {key: getattr(changed, key) for key in allowed} == allowed


def test_readme_counts_claims_at_quick_scale() -> None:
    [number] = re.findall(r"All (\d+) claims at quick scale", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert int(number) == sum("quick" in load_claim(module).seeds for module in MODULES)


def test_links_lead_to_existing_files() -> None:
    for page in PAGES:
        text = FENCE.sub("", page.read_text(encoding="utf-8"))
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[\w-]*)?\)", text):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{named(page)}: {target}"
