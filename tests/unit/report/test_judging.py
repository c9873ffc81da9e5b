"""The command `labcheck judge`: verdicts on counts and tables, and what it refuses."""

from pathlib import Path

import pytest

from labcheck.__main__ import main

ARMS = ("--arms", "model=resnet,vgg", "--metric", "test_accuracy", "--higher")


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a table of 20 seeds in the working directory, in 17 of which resnet is better than vgg."""
    monkeypatch.chdir(tmp_path)
    rows = [
        f"{model},{seed},{0.9 + 0.01 * ((model == 'resnet') == (seed < 17))}"
        for model in ("resnet", "vgg")
        for seed in range(20)
    ]
    Path("runs.csv").write_text("\n".join(["model,seed,test_accuracy", *rows]))
    return Path("runs.csv")


def judge(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Return the exit status and the only line of the command."""
    status = main(["judge", *arguments])
    out, err = capsys.readouterr()
    [line] = (out + err).splitlines()
    return status, line


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--holds", "17", "--of", "20"], "REPRODUCED: holds in 17 of 20 seeds, evidence for it 123 (20 decides)"),
        (
            ["--holds", "1", "--of", "9"],
            "NOT_REPRODUCED (no effect): holds in 1 of 9 seeds, evidence against it 171 (20 decides)",
        ),
        (
            ["--holds", "5", "--of", "8", "--ties", "1"],
            "INCONCLUSIVE: holds in 5 of 8 seeds, 1 ties, no evidence for or against it",
        ),
        (
            ["--holds", "7", "--of", "7"],
            "INCONCLUSIVE: holds in 7 of 7 seeds, evidence for it 17.1 (20 decides); about 8 seeds would decide",
        ),
    ],
)
def test_counts_are_judged(capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str):
    assert judge(capsys, *arguments) == (0, expected)


@pytest.mark.usefixtures("runs")
def test_table_is_judged(capsys: pytest.CaptureFixture[str]):
    status, line = judge(capsys, "runs.csv", *ARMS)
    assert status == 0
    assert line == (
        "REPRODUCED: holds in 17 of 20 seeds, evidence for it 123 (20 decides); resnet beats vgg on test_accuracy, "
        "medians 0.91 : 0.9"
    )
    assert judge(capsys, "runs.csv", *ARMS[:-1], "--lower")[1].startswith("NOT_REPRODUCED (reversed): holds in 3 of 20")


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "judge needs either a table with --arms, --metric and --higher or --lower, or --holds and --of"),
        (["runs.csv"], "or --holds and --of; missing: --arms, --metric, --higher or --lower"),
        (["runs.csv", *ARMS[:-1]], "or --holds and --of; missing: --higher or --lower"),
        (["runs.csv", *ARMS[2:]], "or --holds and --of; missing: --arms"),
        ([*ARMS], "or --holds and --of; missing: the table"),
        (["runs.csv", *ARMS, "--holds", "1", "--of", "2"], "--holds and --of cannot be combined with a table"),
        (["--holds", "3"], "or --holds and --of; missing: --of"),
        (["--holds", "3", "--of", "2"], "impossible counts: 3 holds and 0 ties in 2 seeds; correct --holds, --ties or"),
        (["--holds", "-1", "--of", "2"], "impossible counts: -1 holds and 0 ties in 2 seeds; correct"),
        (["none.csv", *ARMS], "none.csv: a table must be a CSV, TSV or Parquet file"),
        (
            ["runs.csv", "--seed", "s", *ARMS],
            "runs has no column 's' for the seeds; it has model, seed, test_accuracy: name it with --seed",
        ),
        (["runs.csv", "--arms", "model=vgg", *ARMS[2:]], "--arms must be a column and two of its values, such as"),
        (["runs.csv", "--arms", "model=vgg,resnet,vgg", *ARMS[2:]], "--arms must be a column and two of its values"),
        (["runs.csv", *ARMS[:3], "model", "--higher"], "such as 'resnet'; a metric must be a column of numbers"),
        (["runs.csv", "--arms", "model=vgg,vgg", *ARMS[2:]], "--arms must be a column and two of its values, such as"),
        (["runs.csv", "--arms", "model=vgg,x", *ARMS[2:]], "no row has model='x'; 'model' has resnet, vgg"),
        (
            ["runs.csv", *ARMS[:3], "accuracy", "--higher"],
            "runs has no column 'accuracy'; it has model, seed, test_accu",
        ),
    ],
)
def test_mistake_is_answered_in_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str):
    status, line = judge(capsys, *arguments)
    assert status == 2
    assert line.startswith("labcheck: ")
    assert message in line
