"""Sessions with functions as labs, as users write them: results, mistakes, and what is not imported."""

import json

import jsonschema
import pytest

from tests.helpers.project import Project, assert_no_internals, count_lines, is_in_one_line, output
from tests.helpers.report import SCHEMA

FUNCTION = """
import numpy as np
from labcheck import Arm, Claim, assumed, beats, lab, score, value_at

@lab("digits", data="digits")
def train(seed, *, loss="hinge", epochs=3, noise: float = assumed(0.1, "not stated", 0.2)):
    rng = np.random.default_rng(seed)
    for epoch in range(epochs):
        print("epoch", epoch)
        yield {"val_accuracy": 0.5 + 0.1 * epoch + noise * rng.random()}
    return {"test_accuracy": rng.random() + (loss == "log")}
"""
CLAIM = """
claim = Claim(
    statement="The logistic loss is better.",
    lab=train,
    arms={"hinge": Arm(), "log": Arm({"loss": "log"})},
    relations=[beats("log", "hinge", score("test_accuracy"))],
    seeds={"quick": 20},
)
"""


@pytest.fixture
def function(project: Project) -> Project:
    """Return a project with the module test_loss.py, which has a claim about a function."""
    for file in project.folder.glob("*.py"):
        file.unlink()
    (project.folder / "test_loss.py").write_text(FUNCTION + CLAIM)
    return project


def change(project: Project, old: str, new: str) -> None:
    text = FUNCTION + CLAIM
    assert old in text
    (project.folder / "test_loss.py").write_text(text.replace(old, new))


def test_claim_about_function_is_recorded_and_compared(function: Project):
    first = function.run("--claims-update", "first")
    assert count_lines(first, "digits/loss  REPRODUCED  1 / 0 / 0                8      digits") == 1
    stored = json.loads((function.folder / "baselines/digits/loss/quick-digits.json").read_text())
    assert stored["arms"]["log"]["settings"] == {"loss": "log", "epochs": 3, "noise": 0.1}
    assert not {"torch", "capability"} & stored["environment"].keys()
    function.run().assert_outcomes(passed=3)
    change(function, "rng.random() + (", "rng.random() + 0.01 * (seed == 3) + (")
    result = function.run()
    assert count_lines(result, "test_accuracy: 1 of 8 seeds differ, first seed 3:") >= 1


def test_page_shows_function_and_its_unstated_setting(function: Project):
    function.run("--claims-update", "first", "--claims-report", "out")
    [entry] = function.report()["claims"]
    assert [(one["setting"], one["value"], one["reason"]) for one in entry["unstated"]] == [
        ("noise", 0.1, "not stated")
    ]
    assert [arm["others"] for arm in entry["arms"]] == [{"epochs": 3.0}, {"epochs": 3.0}]
    assert entry["code"].startswith('@lab("digits", data="digits")\ndef train(seed')
    jsonschema.validate(function.report(), SCHEMA)
    text = function.page_text()
    assert "The logistic loss is better." in text
    assert "Other numbers that the lab returned median hinge log epochs 3 3" in text
    assert "rng = np.random.default_rng(seed)" in text


def test_prints_of_function_are_not_printed(function: Project):
    assert count_lines(function.run("--claims-update", "first"), "epoch 0") == 0


def test_generator_provides_curve(function: Project):
    change(function, 'score("test_accuracy")', 'value_at("val_accuracy", 3, rising=True)')
    result = function.run("--claims-update", "first")
    assert count_lines(result, "log beats hinge on val_accuracy after 3 epochs") >= 1


def test_function_is_resumed_unless_its_source_or_files_change(function: Project):
    change(function, 'data="digits"', 'data="digits", depends=["*.csv"]')
    (function.folder / "rates.csv").write_text("1")

    def run() -> str:
        result = function.pytester.runpytest_inprocess("--claims-resume", "--claims-update", "first")
        [line] = [line for line in result.outlines if "available from an earlier run" in line]
        return line

    assert run().startswith("0 of ")
    assert not run().startswith("0 of ")
    (function.folder / "rates.csv").write_text("2")
    assert run().startswith("0 of ")
    change(function, 'data="digits"', 'data="digits", depends=["*.csv"], diverged=ZeroDivisionError')
    assert run().startswith("0 of ")


def test_seed_that_diverges_is_worst_and_others_are_errors(function: Project):
    raising = "rng = np.random.default_rng(seed)\n    1 / (seed != 2 or loss == 'log')"
    change(function, "rng = np.random.default_rng(seed)", raising)
    result = function.run("--claims-update", "first")
    assert count_lines(result, "arm 'hinge' (defaults), seed 2: ZeroDivisionError: division by zero") >= 1
    assert count_lines(result, "File ") >= 1
    text = (function.folder / "test_loss.py").read_text()
    (function.folder / "test_loss.py").write_text(
        text.replace('data="digits"', 'data="digits", diverged=ZeroDivisionError')
    )
    assert count_lines(function.run("--claims-update", "first"), "8/8  log beats hinge on test_accuracy") == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('@lab("digits", data="digits")\n', "", "digits/x: lab must be a function decorated with @lab(name)"),
        (
            '@lab("digits", data="digits")',
            "@lab",
            'TypeError: @lab needs a name and parentheses, such as @lab("digits")',
        ),
        ("seed, *, loss", "*, seed, loss", "train must have the seed as its first parameter"),
        ("0.2)):", "0.2), **rest):", "train must name each setting, got the parameter **rest"),
        ("epochs=3,", "epochs=3, data=4,", "train: a setting must not have the name 'data', which labs use; rename"),
        ('{"loss": "log"}', '{"los": "log"}', "arm 'log': digits has no setting 'los'; it has loss, epochs, noise"),
        ('{"loss": "log"}', '{"noise": "log"}', "arm 'log': digits.noise must be a number, got 'log'"),
        ('score("test_accuracy")', 'score("accuracy")', "no metric 'accuracy'; available: epochs, test_accuracy"),
        ('score("test_accuracy")', '"test_accuracy"', "arms must be compared by a Metric, such as error('test_mse'"),
        ('return {"test_accuracy"', 'return {"name": "x", "test_accuracy"', "seed 0: 'name' must be numbers, got str"),
        ('return {"test_accuracy": rng.random() + (loss == "log")}', "return 0.5", "must return a dict of numbers by"),
        ('"log": Arm({"loss": "log"})', '"log": {"loss": "log"}', "arms must be a dict from names to Arms"),
        ('{"loss": "log"}', '{"loss": "hinge"}', "arms 'log' and 'hinge' have equal settings, so 'log beats hinge on"),
        ("statement=", 'id="loss", statement=', "'loss': an id must be <lab>/<claim>"),
        ("statement=", 'id="mnist/loss", statement=', "the first half of an id must be the lab's name, 'digits'"),
    ],
)
def test_mistake_is_answered_in_one_line(function: Project, old: str, new: str, message: str):
    change(function, old, new)
    if "digits/x" in message:
        text = (function.folder / "test_loss.py").read_text()
        (function.folder / "test_loss.py").write_text(text.replace("statement=", 'id="digits/x", statement='))
    result = function.run("-n", "0", "--claims-update", "first")
    assert count_lines(result, message) >= 1, output(result)
    assert_no_internals(result)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("score(", "Metric(", "test_loss.py:17: ValueError: Metric('test_accuracy') must state which direction is"),
        ('score("test_accuracy")', '"acc"', "test_loss.py:17: TypeError: arms must be compared by a Metric, such as"),
        ('score("test_accuracy")', "score(3)", "test_loss.py:17: TypeError: a metric must have the name of a number"),
        (
            '    statement="The logistic loss is better.",\n',
            "",
            "test_loss.py:13: TypeError: Claim.__init__() missing",
        ),
        ("seed, *, loss", "lr, seed, *, loss", "test_loss.py:5: TypeError: train must have the seed as its first para"),
        ('data="digits"', "data=4", "test_loss.py:5: TypeError: @lab('digits'): data must be the name of the data, a"),
        ('"digits", data="digits"', "", "test_loss.py:5: TypeError: lab() missing 1 required positional argument: 'na"),
        ("lab=train", 'lab=Table("no.csv")', "test_loss.py:15: DataError: no file "),
        ("lab=train", "lab=Table(3)", "test_loss.py:15: TypeError: Table needs the name of a file or a pandas DataFr"),
        (
            "epochs=3,",
            "epochs=object(),",
            "test_loss.py:5: ValueError: train: the default of 'epochs': object cannot be",
        ),
    ],
)
def test_refused_call_is_reported_with_file_and_line(function: Project, old: str, new: str, message: str):
    change(function, old, new)
    text = (function.folder / "test_loss.py").read_text()
    (function.folder / "test_loss.py").write_text(text.replace("import Arm", "import Table, Metric, Arm"))
    result = function.run("-n", "0")
    assert sum(line.startswith(message) for line in result.outlines) == 1, output(result)
    assert_no_internals(result)
    assert not any(line.startswith(("E ", ">")) for line in result.outlines)


def test_error_of_module_keeps_its_traceback(function: Project):
    change(function, "epochs=3,", "epochs=int('x'),")
    result = function.run("-n", "0")
    assert count_lines(result, "test_loss.py:6: in <module>") == 1
    assert count_lines(result, "E   ValueError: invalid literal for int()") == 1


def test_undecorated_function_without_id_is_named(function: Project):
    change(function, '@lab("digits", data="digits")\n', "")
    message = "train/loss: lab must be a function decorated with @lab(name), such as @lab("
    assert is_in_one_line(function.run("-n", "0"), message)


def test_arms_whose_seeds_are_ignored_are_named(function: Project):
    change(function, "default_rng(seed)", "default_rng(0)")
    result = function.run("--claims-update", "first")
    for arm in ("hinge", "log"):
        note = f"digits/loss (quick): arm '{arm}' gives equal results for all 8 seeds, to the bit: train with the seed"
        assert is_in_one_line(result, note), output(result)
    change(function, "default_rng(seed)", "default_rng(seed // 7)")
    assert count_lines(function.run("--claims-update", "second"), "equal results") == 0


def test_output_of_training_is_shown_only_if_it_raised(function: Project):
    function.run("--claims-update", "first")
    change(function, "+ noise * rng.random()", "+ noise * rng.random() * (1 / (epoch != 2 or seed != 1))")
    raised = function.run("-k", "hinge-quick")
    assert count_lines(raised, "epoch 2") == 2  # of seeds 0 and 1
    change(function, "rng.random() + (", "2 * rng.random() + (")
    drifted = function.run()
    assert count_lines(drifted, "has drifted") >= 2
    assert count_lines(drifted, "epoch 2") + count_lines(drifted, "Captured") == 0


def test_exception_suggests_divergence_unless_it_is_mistake(function: Project):
    change(function, "rng = np.random.default_rng(seed)", "rng = np.random.default_rng(seed); 1 / (seed - 3)")
    advice = "If this is how a seed diverges, declare it: @lab('digits', diverged=ZeroDivisionError)"
    assert count_lines(function.run("-k", "hinge-quick"), advice) == 1
    change(function, "rng = np.random.default_rng(seed)", "rng = np.random.default_rng(sed)")
    assert count_lines(function.run("-k", "hinge-quick"), "If this is how") == 0


def test_arm_without_relation_is_stored_and_compared(function: Project):
    change(function, '"hinge": Arm(),', '"hinge": Arm(), "noisy": Arm({"noise": 0.3}),')
    function.run("--claims-update", "first")
    stored = json.loads((function.folder / "baselines/digits/loss/quick-digits.json").read_text())
    assert stored["arms"]["noisy"]["metrics"] == stored["arms"]["hinge"]["metrics"]


def test_claims_in_list_are_named_in_warning(function: Project):
    change(function, "claim = Claim(", "claims = [Claim(")
    text = (function.folder / "test_loss.py").read_text()
    (function.folder / "test_loss.py").write_text(text.rstrip() + "]\n")
    (function.folder / "pytest.ini").write_text("[pytest]\n")
    result = function.run("-n", "0")
    assert count_lines(result, "claims: claims in a list are not collected; give each a variable of its own") == 1
    (function.folder / "test_loss.py").write_text(text.rstrip() + "]\n[claim] = claims\n")
    assert count_lines(function.run("-n", "0", "--collect-only"), "are not collected") == 0


@pytest.mark.slow
def test_torch_that_function_imports_unnoticed_is_refused(function: Project):
    change(function, "import numpy as np", "import numpy as np, importlib, sys")
    text = (function.folder / "test_loss.py").read_text()
    hidden = "rng = np.random.default_rng(seed)\n    importlib.import_module('tor' + 'ch')"
    (function.folder / "test_loss.py").write_text(text.replace("rng = np.random.default_rng(seed)", hidden))
    fake = function.folder / "torch"  # importing the real one takes most of the time
    fake.mkdir()
    (fake / "__init__.py").write_text("")
    (function.folder / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    result = function.run_in_subprocess("--claims-update", "first")
    assert (
        count_lines(result, "`train` imported torch, whose state was therefore not set; name torch in `depends`") >= 1
    )


@pytest.mark.slow
def test_session_without_torch_installed(function: Project):
    """Neither the plugin nor a function that does not use it needs torch, scikit-learn or matplotlib."""
    block = "import sys\nfor name in ('torch', 'torchvision', 'sklearn', 'matplotlib', 'mlxtend', 'numba'):\n"
    (function.folder / "conftest.py").write_text(f"{block}    sys.modules[name] = None\n")
    result = function.run_in_subprocess("-n", "2", "--claims-update", "first")
    assert is_in_one_line(result, "digits/loss  REPRODUCED  1 / 0 / 0                8      digits"), output(result)


@pytest.mark.slow
def test_page_without_matplotlib_is_usage_error(function: Project):
    (function.folder / "conftest.py").write_text("import sys\nsys.modules['matplotlib'] = None\n")
    result = function.run_in_subprocess("--claims-report", "out")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert is_in_one_line(result, "--claims-report: needs Matplotlib; pip install 'labcheck[page]'")
