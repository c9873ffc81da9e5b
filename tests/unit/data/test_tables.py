"""Tables as labs: rows and seeds of arms, the formats that are read, and what is refused."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pandas
import pytest

from labcheck import Arm, Claim, DataError, Scale, Table, beats, error, score
from labcheck.core.claims import ClaimError
from tests.helpers.project import Project, count_lines, is_in_one_line, output
from tests.helpers.report import SCHEMA

HEADER = "Name,model,params.lr,seed,test_accuracy,val loss,note"
ROWS = [
    f"run-{model}-{seed},{model},{lr},{seed},{0.9 + 0.01 * (model == 'resnet') + 0.001 * seed:.3f},{seed / 10},"
    for model in ("resnet", "vgg")
    for lr in (0.1, 0.01)
    for seed in (42, 7, 1337)
]
CLAIM = """
from labcheck import Arm, Claim, Table, beats, score

claim = Claim(
    statement="ResNet is better.",
    lab=Table("runs.csv"),
    arms={"resnet": Arm({"model": "resnet"}), "vgg": Arm({"model": "vgg"})},
    relations=[beats("resnet", "vgg", score("test_accuracy"))],
)
"""


def write(folder: Path, *rows: str, name: str = "runs.csv", header: str = HEADER) -> Path:
    file = folder / name
    file.write_text("\n".join([header, *rows]) + "\n")
    return file


def claim(lab: Any, one: dict[str, Any] | None = None, two: dict[str, Any] | None = None, metric: Any = None) -> Claim:
    arms = {
        "resnet": Arm(one or {"model": "resnet", "params.lr": 0.1}),
        "vgg": Arm(two or {"model": "vgg", "params.lr": 0.1}),
    }
    return Claim(
        id=f"{lab.name}/c", statement="x", lab=lab, arms=arms,
        relations=[beats("resnet", "vgg", metric or score("test_accuracy"))],
    )  # fmt: skip


def refusal(made: Claim) -> str:
    with pytest.raises(ClaimError) as caught:
        made.configure(Scale.QUICK)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{made.id}: ")


# rows


def test_arms_select_rows_by_column_and_order_them_by_label(tmp_path: Path):
    labs: Any = claim(Table(write(tmp_path, *ROWS))).configure(Scale.QUICK)
    assert labs["resnet"].seed_labels() == ["7", "42", "1337"]
    assert labs["resnet"].train([0, 1, 2]) == {
        "test_accuracy": [0.917, 0.952, 2.247], "val loss": [0.7, 4.2, 133.7],
    }  # fmt: skip
    assert labs["vgg"].train([1])["test_accuracy"] == [0.942]
    assert labs["vgg"].plain() == {"model": "vgg", "params.lr": 0.1}


@pytest.mark.parametrize("value", [0.1, "0.1", "0.10"])
def test_number_selects_equal_number(tmp_path: Path, value: Any):
    lab: Any = Table(write(tmp_path, *ROWS))
    assert lab.configure("quick", {"model": "vgg", "params.lr": value}).stack("cpu") == 3


def test_labels_may_be_words_and_truth_values_select(tmp_path: Path):
    lab: Any = Table(write(tmp_path, "b,True,1", "a,True,2", "10,true,3", "9,False,4", header="seed,on,x"))
    chosen = lab.configure("quick", {"on": True})
    assert chosen.seed_labels() == ["10", "a", "b"]
    assert chosen.train([0, 1, 2]) == {"x": [3.0, 2.0, 1.0]}


def test_percent_signs_are_understood_and_nan_is_a_diverged_run(tmp_path: Path):
    lab: Any = Table(write(tmp_path, "1,91.5%,nan", "2,90%,1", header="seed,accuracy,loss"))
    numbers = lab.configure("quick", {}).train([0, 1])
    assert numbers["accuracy"] == [0.915, 0.9]
    assert math.isnan(numbers["loss"][0])


@pytest.mark.parametrize("kind", ["tsv", "parquet", "frame", "bom"])
def test_table_may_be(tmp_path: Path, kind: str):
    frame = pandas.DataFrame({"seed": [2.0, 1.0], "x": [0.5, None], "y": [3, 4]})
    table: Any = tmp_path / f"runs.{kind}"
    if kind == "frame":
        table = frame
    elif kind == "parquet":
        pytest.importorskip("pyarrow")
        frame.to_parquet(table)
    elif kind == "tsv":
        frame.to_csv(table, sep="\t", index=False)
    else:
        table = tmp_path / "runs.csv"
        frame.to_csv(table, index=False, encoding="utf-8-sig")
    lab: Any = Table(table, name="runs")
    chosen = lab.configure("quick", {})
    assert chosen.seed_labels() == ["1", "2"]
    assert chosen.train([0, 1]) == {"y": [4.0, 3.0]}  # x is empty in one row


def test_file_is_relative_to_calling_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(tmp_path, *ROWS, name="my runs.csv")
    code = compile("from labcheck import Table\nlab = Table('my runs.csv')", tmp_path / "test_x.py", "exec")
    names: dict[str, Any] = {"__file__": str(tmp_path / "test_x.py")}
    exec(code, names)
    assert names["lab"].name == "my-runs"


# what is refused


@pytest.mark.parametrize(
    ("rows", "arms", "message"),
    [
        (ROWS, {"one": {"model": "resne"}}, "arm 'resnet': runs: no row has model='resne'; 'model' has resnet, vgg"),
        (
            ROWS,
            {"one": {"modl": "x"}},
            "arm 'resnet': runs has no column 'modl'; it has Name, model, params.lr, seed, ",
        ),
        (
            ROWS,
            {"one": {"model": "resnet"}},
            "arm 'resnet': runs: two rows have the seed 42; choose one of them by another column, such as 'params.lr'",
        ),
        ([*ROWS, ROWS[0]], {}, "arm 'resnet': runs: two rows have the seed 42; remove one of them"),
        (
            [*ROWS, "r,resnet,0.1,5,.9,1,", "r,resnet,0.1,6,.9,1,"],
            {},
            "arm 'vgg' lacks seeds 5, 6, which arm 'resnet' has; the arms of a claim must have the same seeds",
        ),
        (ROWS, {"metric": error("loss")}, "runs has no column 'loss'; it has "),
        (
            ROWS,
            {"metric": error("note")},
            "arm 'resnet' has no number in the column 'note' for seeds 7, 42, 1337; write nan if such a run diverged",
        ),
        (
            ROWS,
            {"metric": error("Name")},
            "arm 'resnet' has text in the column 'Name' for seeds 7, 42, 1337, such as 'run-resnet-7'; a metric must "
            "be a column of numbers",
        ),
        (
            ["r,resnet,0.1,,.9,1,"],
            {"two": {"model": "resnet"}},
            "arm 'resnet': runs: a row has no value in the column of seeds, 'seed'",
        ),
    ],
)
def test_arms_are_refused_in_one_line(tmp_path: Path, rows: list[str], arms: dict[str, Any], message: str):
    assert refusal(claim(Table(write(tmp_path, *rows)), **arms)).startswith(message)


@pytest.mark.parametrize(("unit", "mixed"), [("{}", True), ("{}%", False)])
def test_fractions_beside_percent_are_refused(tmp_path: Path, unit: str, mixed: bool):
    rows = [f"resnet,{seed},0.9" for seed in range(3)] + [f"vgg,{seed},{unit.format(90)}" for seed in range(3)]
    lab = Table(write(tmp_path, *rows, header="model,seed,test_accuracy"))
    made = claim(lab, {"model": "resnet"}, {"model": "vgg"})
    if mixed:
        assert refusal(made).startswith("column 'test_accuracy' has fractions in arm 'resnet' (0.9) and percent in arm")
    else:
        made.configure(Scale.QUICK)


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (ROWS, {"seed": "Seed"}, "runs has no column 'Seed' for the seeds; it has Name, model"),
        ([], {}, "runs: the table has no rows"),
        (["1,2"], {}, "row 2 has another number of columns than the header"),
        ([ROWS[0] + ",9"], {}, "row 2 has another number of columns than the header"),
        (['"1'], {}, "runs.csv cannot be read as CSV: "),
    ],
)
def test_file_is_refused_in_one_line(tmp_path: Path, rows: list[str], options: dict[str, Any], message: str):
    with pytest.raises(DataError) as caught:
        Table(write(tmp_path, *rows), **options)
    assert message in str(caught.value)


def test_columns_may_be_separated_by_semicolons(tmp_path: Path):
    lab: Any = Table(write(tmp_path, "1;a,b;0.5", "2;c;0.25", header="seed;text;x"))
    assert lab.configure("quick", {}).train([0, 1]) == {"x": [0.5, 0.25]}


def test_decimal_commas_are_refused_with_remedy(tmp_path: Path):
    rows = [f"{model};{seed};0,9{seed}" for model in ("resnet", "vgg") for seed in (1, 2)]
    made = claim(
        Table(write(tmp_path, *rows, header="model;seed;test_accuracy")), {"model": "resnet"}, {"model": "vgg"}
    )
    assert refusal(made) == (
        "arm 'resnet' has text in the column 'test_accuracy' for seeds 1, 2, such as '0,91'; write decimal points"
    )


def test_number_of_seeds_of_claim_about_table_is_refused(tmp_path: Path):
    made = replace(claim(Table(write(tmp_path, *ROWS))), seeds={"quick": 10})
    assert refusal(made) == "a claim about a table uses all its seeds; leave out seeds; --claims-seeds limits a run"


def test_arguments_of_wrong_type_are_refused(tmp_path: Path):
    with pytest.raises(TypeError, match="Table needs the name of a file or a pandas DataFrame, got None"):
        Table(None)
    with pytest.raises(TypeError, match="Table: seed and name must be strings, got 3 and ''"):
        Table(write(tmp_path, *ROWS), seed=3)  # type: ignore[arg-type]


def test_missing_file_and_unnamed_frame_are_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"no file .*none.csv: a table must be a CSV, TSV or Parquet file"):
        Table(tmp_path / "none.csv")
    with pytest.raises(ValueError, match=r"a DataFrame needs a name, such as Table\(frame, name="):
        Table(pandas.DataFrame({"seed": [1]}))


# sessions


@pytest.fixture
def table(project: Project) -> Project:
    """Return a project with a claim about a table of 20 seeds."""
    for file in project.folder.glob("*.py"):
        file.unlink()
    rows = [f"{model},{seed},{0.9 + 0.01 * (model == 'resnet')}" for model in ("resnet", "vgg") for seed in range(20)]
    write(project.folder, *rows, header="model,seed,test_accuracy")
    (project.folder / "test_best.py").write_text(CLAIM)
    return project


def edit(project: Project, old: str, new: str) -> None:
    file = project.folder / "runs.csv"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


@pytest.mark.parametrize("workers", ["0", pytest.param("2", marks=pytest.mark.slow)])
def test_table_is_recorded_and_changed_cell_is_named(table: Project, workers: str):
    first = table.run("-n", workers, "--claims-update", "first", "--claims-report", "out")
    assert count_lines(first, "runs/best  REPRODUCED  1 / 0 / 0                20     runs") == 1
    table.run("-n", workers).assert_outcomes(passed=3)
    edit(table, "vgg,7,0.9\n", "vgg,7,0.8\n")
    changed = table.run("-n", workers)
    changed.assert_outcomes(passed=2, failed=1)
    message = "arm 'vgg' has drifted: test_accuracy: 1 of 20 seeds differ, first seed 7: 0.8, stored 0.9"
    assert count_lines(changed, message) == 1


def test_seeds_that_table_gains_are_paired_by_label(table: Project):
    table.run("--claims-update", "first")
    edit(table, "resnet,0,", "resnet,-3,0.5\nvgg,-3,0.4\nresnet,0,")
    more = table.run()
    more.assert_outcomes(passed=3)
    assert is_in_one_line(more, "runs/best (quick): 21 seeds, 20 stored; verdicts are not compared"), output(more)


@pytest.mark.parametrize(("lost", "named"), [((4,), "seed 4 is"), ((4, 17), "seeds 4, 17 are")])
def test_seeds_that_table_loses_are_drift(table: Project, lost: tuple[int, ...], named: str):
    table.run("--claims-update", "first")
    for seed in lost:
        edit(table, f"resnet,{seed},0.91\n", "")
        edit(table, f"vgg,{seed},0.9\n", "")
    less = table.run()
    less.assert_outcomes(passed=1, failed=2)
    for arm in ("resnet", "vgg"):
        message = (
            f"arm '{arm}' has drifted: {named} in the baseline, but no longer in the table; if the change is inten"
        )
        assert count_lines(less, message) == 1, output(less)


def test_fewer_seeds_on_command_line_are_not_lost(table: Project):
    table.run("--claims-update", "first")
    table.run("--claims-seeds", "9").assert_outcomes(passed=3)


def test_changed_cell_of_unused_column_is_not_noticed(table: Project):
    file = table.folder / "runs.csv"
    file.write_text(
        "\n".join(f"{line},{'loss' if line.startswith('model') else 1}" for line in file.read_text().split())
    )
    table.run("--claims-update", "first")
    edit(table, "vgg,7,0.9,1\n", "vgg,7,0.9,2\n")
    table.run().assert_outcomes(passed=3)


def test_report_of_open_claim_is_valid_and_names_no_option(table: Project):
    """More seeds need more rows, which no option adds."""
    file = table.folder / "runs.csv"
    file.write_text("\n".join(line for line in file.read_text().splitlines() if len(line.split(",")[1]) > 1))
    edit(table, "resnet,17,0.91", "resnet,17,0.8")
    result = table.run("--claims-update", "first", "--claims-report", "out")
    assert count_lines(result, "INCONCLUSIVE") == 3
    assert count_lines(result, "seeds would decide") == 1
    jsonschema.validate(table.report(), SCHEMA)
    assert "seeds would decide" in table.page_text()
    assert "--claims-seeds" not in output(result) + table.page_text()


def test_all_rows_are_judged_unless_fewer_seeds_are_requested(table: Project):
    assert count_lines(table.run("--claims-update", "first", "--claims-seeds", "9"), "9/9  resnet beats vgg") == 1
    assert count_lines(table.run("--claims-update", "first", "--claims-seeds", "99"), "20/20  resnet beats vgg") == 1
