"""The table on the terminal."""

import re
from pathlib import Path

import pytest

from labcheck import Arm, Relation, beats, consistent_with, diverges, no_worse
from labcheck.report import terminal
from labcheck.report.document import gather
from tests.helpers.project import Recorded
from tests.helpers.report import (
    ACCURACY,
    ERROR,
    MODULES,
    ONE,
    TWO,
    load_claim,
    record_all,
    record_one,
    two_arms,
)

NAN = float("nan")
BETTER = two_arms([1.0] * 16, [2.0] * 16)
UNDECIDED = two_arms([1] * 11 + [3] * 5, [2] * 16)
SENTENCES: dict[str, Relation] = {
    "norm+xavier beats none on error; ours 1 : 2": beats("norm+xavier", "none", ERROR),
    "ReLU beats Tanh on error; ours 1 : 2": beats("ReLU", "Tanh", ERROR),
    "lr 0.1 diverges; ours error not finite : error not finite": diverges("lr 0.1", ERROR, ERROR, ACCURACY),
    "5×5 is no worse than 3×3 on error; ours 1 : 1": no_worse("5×5", "3×3", ERROR),
    "drop beats no drop on error; ours 1 : 2": beats("drop", "no drop", ERROR),
}


def cells(line: str) -> list[str]:
    """Return the cells of a row."""
    return re.split("  +", line)


def test_table_has_row_per_claim_and_per_relation(tmp_path: Path):
    quoting = {"a": Arm({"values": (1.0,) * 16}, {"text": {ERROR: 0.12345}}), "b": BETTER["b"]}
    lines = terminal.table(gather(record_one(tmp_path, subject, quoting, 16) for subject in (ONE, TWO)).claims)
    assert [cells(line) for line in lines] == [
        ["claim", "verdict", "reproduced / not / open", "seeds", "data"],
        ["literal/one", "NOT_REPRODUCED", "1 / 1 / 0", "16", "none"],
        ["", "REPRODUCED", "16/16", "a beats b on error; ours 1 : 2, printed 0.123 : -"],
        ["> NOT_REPRODUCED (reversed)", "0/16", "b beats a on error; ours 2 : 1, printed - : 0.123"],
    ]


def test_open_relation_shows_seeds_to_decide(tmp_path: Path):
    lines = terminal.table(gather([record_one(tmp_path, ONE, UNDECIDED, 16)]).claims)
    assert cells(lines[1]) == ["literal/one", "INCOMPLETE", "0 / 0 / 1", "16", "none"]
    seeds = re.fullmatch(
        r"  INCONCLUSIVE +11/16  a beats b on error; ours 1 : 2; about (\d+) seeds would decide: --claims-seeds (\d+)",
        lines[2],
    )
    assert seeds is not None
    assert int(seeds[1]) == int(seeds[2]) == 49  # the smallest n with 3^(n · 11/16) / 2^n ≥ 20


def test_printed_number_shows_p_value(tmp_path: Path):
    a = Arm({"values": tuple(range(1, 20))}, {"Table 1": {ERROR: 2.5}})
    lines = terminal.table(gather(record_all(tmp_path, "one", consistent_with("a", 2.5, ERROR), a=a)).claims)
    assert [cells(line) for line in lines[1:]] == [
        ["literal/one", "REPRODUCED", "1 / 0 / 0", "19", "none"],
        ["", "REPRODUCED", "p=0.3", "a is consistent with the printed error 2.5; ours 10, printed 2.5"],
    ]


def test_ties_are_counted_beside_medians(tmp_path: Path):
    arms = two_arms([1.0] * 13 + [2.0] * 3, [2.0] * 16)
    lines = terminal.table(gather([record_one(tmp_path, ONE, arms, 16)]).claims)
    assert cells(lines[2])[1:] == ["REPRODUCED", "13/16", "a beats b on error; 3 ties; ours 1 : 2"]


def test_columns_of_many_seeds_are_aligned(tmp_path: Path):
    records = [record_one(tmp_path, subject, two_arms([1.0] * 100, [2.0] * 100), 100) for subject in (ONE, TWO)]
    lines = terminal.table(gather(records).claims)
    assert lines[2:] == [
        "  REPRODUCED                 100/100  a beats b on error; ours 1 : 2",
        "> NOT_REPRODUCED (reversed)    0/100  b beats a on error; ours 2 : 1",
    ]


def test_every_relation_has_row(tmp_path: Path):
    """The decisive relation is not the only one that is shown."""
    better, worse, lost = (Arm({"values": (value,) * 16}) for value in (1.0, 2.0, NAN))
    arms = dict.fromkeys(["norm+xavier", "ReLU", "5×5", "3×3", "drop"], better)
    arms |= dict.fromkeys(["none", "Tanh", "no drop"], worse) | {"lr 0.1": lost}
    lines = terminal.table(gather(record_all(tmp_path, "one", *SENTENCES.values(), **arms)).claims)
    assert [cells(line)[1:] for line in lines[2:]] == [["REPRODUCED", "16/16", sentence] for sentence in SENTENCES]


def test_table_of_repository_claims_is_at_most_120_columns_wide(tmp_path: Path):
    (result,) = gather([record_one(tmp_path, ONE, UNDECIDED, 16)]).claims
    (judged,) = result.judged.values()
    judged |= {"tag": "in doubt", "seeds_to_decide": 9999}
    judged["terms"] = [{**term, "median": -1.234e-05, "quoted": [1.234e-05] * 3} for term in judged["terms"]]
    claims = [load_claim(module) for module in MODULES]
    names = {relation.name for claim in claims for relation in claim.relations}
    assert max(map(len, names)) > 70
    result.judged = dict.fromkeys(sorted(names), judged)
    result.claim["relations"] = sorted(names)
    result.claim["id"] = max((claim.id for claim in claims), key=len)
    lines = terminal.table([result])
    assert max(map(len, lines)) <= 120
    text = "".join("".join(lines).split())  # lines are wrapped anywhere
    for name in names:
        assert f"{name}; ours".replace(" ", "") in text


def test_claim_without_judged_relation_has_no_row(tmp_path: Path):
    assert terminal.table(gather([record_one(tmp_path, "arm[a", BETTER)]).claims) == []


@pytest.mark.parametrize(
    ("scale", "names"),
    [("full", ["literal/one (full)", "literal/two (quick)"]), ("quick", ["literal/one", "literal/two"])],
)
def test_rows_name_scale_if_run_has_several(tmp_path: Path, scale: str, names: list[str]):
    records = [record_one(tmp_path, ONE, BETTER, name=name) for name in ("one", "two")]
    records[0]["current"]["scale"] = scale
    assert [cells(line)[0] for line in terminal.table(gather(records).claims)] == ["claim", names[0], "", names[1], ""]


@pytest.mark.slow
def test_session_prints_claims_and_relations(alone: Recorded, shared: Recorded):
    for output in (alone.output, shared.output):
        lines = output.splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith("claim  "))
        rows = [cells(line) for line in lines[start + 1 : start + 6]]
        assert rows[0] == ["toy/order", "REPRODUCED", "1 / 0 / 0", "12", "drawn"]
        assert rows[1][:3] == ["", "REPRODUCED", "12/12"]
        assert re.fullmatch("low beats high on error; ours .* : .*, printed 1 : not finite", rows[1][3])
        assert rows[2] == ["toy/top", "NOT_REPRODUCED", "1 / 1 / 0", "10", "drawn"]
        assert rows[3][:2] == ["> NOT_REPRODUCED (reversed)", "0/10"]
        assert rows[3][2].startswith("top beats low on error; ours ")
        assert rows[4][1:3] == ["REPRODUCED", "10/10"]
        assert "printed numbers lie" not in output  # three are too few for a fit
