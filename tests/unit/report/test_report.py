"""What a run tells: report.json, equal however it was run, and the table at the end."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from labcheck.core.claims import Arm, Claim, ClaimError
from labcheck.core.comparisons import beats, diverges, no_worse
from labcheck.core.lab import Data, Lab
from labcheck.core.metrics import Metric
from labcheck.core.printed import consistent_with
from labcheck.core.relations import Relation
from labcheck.core.trials import Trials
from labcheck.engine import baselines
from labcheck.engine.checks import checks
from labcheck.engine.session import Session
from labcheck.engine.store import TrialStore
from labcheck.report import findings, terminal
from tests.helpers.project import ORDER, TOP, Project, Recorded, count_lines, limited_file_size

from .test_stored_claims import MODULES
from .test_stored_claims import claim as claim_of

ERROR = Metric("error", higher_is_better=False)
ACCURACY = Metric("accuracy", higher_is_better=True, ratio=False)
NAN = float("nan")
RUN = findings.Run()
ONE, TWO = "relation[a beats b on error", "relation[b beats a on error"
RELATION = {
    *("name", "kind", "verdict", "tag", "holds", "ties", "n", "lower", "upper", "effect", "seeds_to_decide", "terms")
}


@dataclass(frozen=True, kw_only=True)
class Literal(Lab):
    """Its results are its settings."""

    name: ClassVar[str] = "literal"

    values: Sequence[float] = (1.0, 2.0, 3.0, 4.0)

    @property
    def stack(self) -> int:
        return len(self.values)

    @classmethod
    def data(cls) -> Data:
        return Data("none", "0")

    def train(self, seeds: Sequence[int], device: str = "cpu") -> Trials:
        values = np.array(self.values)
        return Trials({"error": values, "accuracy": values, "epochs": np.ones(len(values))}, {})


def found(tmp_path: Path, subject: str, arms: dict[str, Arm], seeds: int = 4, name: str = "one") -> dict[str, Any]:
    """What one test of a claim finds, that a beats b and b beats a, as it travels from a worker."""
    claim = Claim(
        id=f"literal/{name}", statement="", source="", lab=Literal, arms=arms, seeds={"quick": seeds},
        relations=[beats("a", "b", ERROR), beats("b", "a", ERROR)],
    )  # fmt: skip
    (check,) = (check for check in checks(claim) if check.name == f"{subject}-quick]")
    return asdict(check.run(Session(TrialStore(tmp_path), tmp_path / "none")).finding)


def all_found(tmp_path: Path, *relations: Relation, name: str = "one", **arms: Arm) -> list[dict[str, Any]]:
    """What all tests of a claim about arms of as many values find."""
    seeds = len(next(iter(arms.values())).settings["values"])
    claim = Claim(
        id=f"literal/{name}", statement="", source="", lab=Literal, arms=arms, seeds={"quick": seeds},
        relations=relations,
    )  # fmt: skip
    session = Session(TrialStore(tmp_path), tmp_path / "none", update=True)
    return [asdict(check.run(session).finding) for check in checks(claim)]


def arms(a: Sequence[float], b: Sequence[float]) -> dict[str, Arm]:
    return {"a": Arm({"values": tuple(a)}), "b": Arm({"values": tuple(b)})}


def untimed(report: dict[str, Any]) -> dict[str, Any]:
    """What a report says but for its times."""
    return {key: value for key, value in report.items() if key != "times"}


BETTER = arms([1.0] * 16, [2.0] * 16)
MIXED = arms([1.0] * 12 + [3.0] * 4, [2.0] * 16)


# what one test finds


@pytest.mark.parametrize(
    ("metric", "quoted", "values", "percentile"),
    [
        (ERROR, 0.5, (1.0, 2.0, 3.0, 4.0), 0.0),
        (ERROR, 1.0, (1.0, 2.0, 3.0, 4.0), 12.5),
        (ERROR, 2.0, (1.0, 2.0, 2.0, 4.0), 50.0),
        (ERROR, 2.5, (1.0, 2.0, 3.0), 66.7),
        (ERROR, 9.0, (1.0, 2.0, 3.0, 4.0), 100.0),
        (ERROR, 9.0, (1.0, 2.0, 3.0, NAN), 75.0),
        (ERROR, NAN, (1.0, 2.0, 3.0, 4.0), 100.0),
        (ERROR, NAN, (1.0, NAN, 3.0, np.inf), 75.0),
        (ACCURACY, 2.0, (1.0, 2.0, 3.0, NAN), 62.5),
        (ACCURACY, NAN, (1.0, 2.0, 3.0, 4.0), 0.0),
        (ACCURACY, NAN, (1.0, NAN, 3.0, NAN), 25.0),
    ],
)
def test_a_quoted_number_stands_at_a_percentile_of_our_seeds(
    tmp_path: Path, metric: Metric, quoted: float, values: Sequence[float], percentile: float
):
    a = Arm({"values": values}, {"Table 1": {metric: quoted}})
    told = found(tmp_path, "arm[a", {"a": a, "b": Arm()}, seeds=len(values))["quoted"]
    number = None if np.isnan(quoted) else quoted
    assert told == {"a": [{"metric": str(metric), "value": number, "where": "Table 1", "percentile": percentile}]}


def test_each_number_quoted_of_an_arm_has_its_place(tmp_path: Path):
    a = Arm({}, {"Table 1": {ERROR: 1.0, ACCURACY: 2.0}, "text": {ERROR: 3.0}})
    quoted = found(tmp_path, "arm[a", {"a": a, "b": Arm()})["quoted"]["a"]
    assert [(q["where"], q["metric"], q["value"], q["percentile"]) for q in quoted] == [
        ("Table 1", "error", 1.0, 12.5), ("Table 1", "accuracy", 2.0, 37.5), ("text", "error", 3.0, 62.5),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([1] * 16, [2] * 16, {"verdict": "REPRODUCED", "tag": "", "holds": 16, "ties": 0, "seeds_to_decide": None}),
        ([2] * 16, [1] * 16, {"verdict": "NOT_REPRODUCED", "tag": "reversed", "holds": 0, "ties": 0}),
        ([1] * 16, [1] * 16, {"verdict": "INCONCLUSIVE", "tag": "", "holds": 0, "ties": 16, "seeds_to_decide": None}),
        ([1] * 12 + [3] * 4, [2] * 16, {"verdict": "REPRODUCED", "holds": 12, "lower": 0.515604}),
        ([1] * 11 + [3] * 5, [2] * 16, {"verdict": "INCONCLUSIVE", "holds": 11, "ties": 0}),
        ([NAN] * 2 + [1] * 14, [NAN, 2] * 8, {"verdict": "REPRODUCED", "holds": 14, "ties": 1}),
    ],
)
def test_a_relation_is_judged(tmp_path: Path, a: list[float], b: list[float], expected: dict[str, Any]):
    (judged,) = found(tmp_path, ONE, arms(a, b), seeds=16)["judged"].values()
    for key, value in expected.items():
        assert judged[key] == (pytest.approx(value, abs=1e-6) if isinstance(value, float) else value), key
    assert 0 <= judged["lower"] <= judged["holds"] / judged["n"] <= judged["upper"] <= 1


def test_the_effect_stands_beside_the_verdict(tmp_path: Path):
    (judged,) = found(tmp_path, ONE, BETTER, seeds=16)["judged"].values()
    assert judged["effect"] == {"kind": "ratio", "median": 0.5, "low": 0.5, "high": 0.5}
    assert judged["terms"] == [
        {"arm": "a", "metric": "error", "median": 1.0, "quoted": []},
        {"arm": "b", "metric": "error", "median": 2.0, "quoted": []},
    ]


# what a run makes of it


def test_findings_are_gathered_whatever_the_order(tmp_path: Path):
    records = [
        found(tmp_path, subject, BETTER, 16, name)
        for name in ("two", "one")
        for subject in ("arm[b", TWO, ONE, "arm[a")
    ]
    one, two = findings.gather(records)
    assert (one.claim["id"], two.claim["id"]) == ("literal/one", "literal/two")
    assert findings.document(findings.gather(records[::-1]), RUN) == findings.document([one, two], RUN)
    assert [arm["name"] for arm in one.document(RUN)["arms"]] == ["a", "b"]
    assert [relation["name"] for relation in one.document(RUN)["relations"]] == [
        "a beats b on error",
        "b beats a on error",
    ]


@pytest.mark.parametrize(
    ("measured", "verdict", "missing"),
    [
        (["arm[a"], None, ["b", ONE, TWO]),
        ([ONE, "arm[a", "arm[b"], None, [TWO]),
        ([TWO], "NOT_REPRODUCED", ["a", "b", ONE]),
        ([ONE, TWO], "NOT_REPRODUCED", ["a", "b"]),
    ],
)
def test_a_claim_has_no_verdict_before_it_is_decided(
    tmp_path: Path, measured: list[str], verdict: str | None, missing: list[str]
):
    (finding,) = findings.gather(found(tmp_path, subject, BETTER, 16) for subject in measured)
    told = finding.document(RUN)
    assert (told["verdict"], told["missing"]) == (verdict, [name.removeprefix("relation[") for name in missing])


@pytest.mark.parametrize(
    ("one", "two", "deciding"),
    [
        (("REPRODUCED", 14), ("INCONCLUSIVE", 15), "two"),
        (("NOT_REPRODUCED", 11), ("INCONCLUSIVE", 3), "one"),
        (("NOT_REPRODUCED", 5), ("NOT_REPRODUCED", 3), "two"),
        (("REPRODUCED", 15), ("REPRODUCED", 16), "one"),
    ],
)
def test_a_claim_hangs_on_its_worst_relation(tmp_path: Path, one: tuple[str, int], two: tuple[str, int], deciding: str):
    (finding,) = findings.gather([found(tmp_path, ONE, BETTER, 16)])
    finding.judged = {
        name: {"verdict": verdict, "holds": holds, "n": 16}
        for name, (verdict, holds) in {"one": one, "two": two}.items()
    }
    assert finding.deciding == (deciding, finding.judged[deciding])


def test_a_number_is_ranked_by_its_p_value(tmp_path: Path):
    (finding,) = findings.gather([found(tmp_path, ONE, BETTER, 16)])
    finding.judged = {
        "share": {"verdict": "NOT_REPRODUCED", "holds": 1, "n": 16},
        "number": {"verdict": "NOT_REPRODUCED", "p": 0.02, "n": 99},
    }
    assert finding.deciding[0] == "number"
    finding.judged["number"]["p"] = 0.07
    assert finding.deciding[0] == "share"


# the terminal's table


def row(line: str) -> list[str]:
    return re.split("  +", line)


def test_a_table_has_a_line_a_claim_and_a_line_a_relation(tmp_path: Path):
    quoting = {"a": Arm({"values": (1.0,) * 16}, {"text": {ERROR: 0.12345}}), "b": BETTER["b"]}
    lines = terminal.table(findings.gather(found(tmp_path, subject, quoting, 16) for subject in (ONE, TWO)))
    assert [row(line) for line in lines] == [
        ["claim", "verdict", "yes / no / open", "seeds", "data"],
        ["literal/one", "NOT_REPRODUCED", "1 / 1 / 0", "16", "none"],
        ["", "REPRODUCED", "16/16", "a beats b on error; ours 1 : 2, printed 0.123 : -"],
        ["> NOT_REPRODUCED (reversed)", "0/16", "b beats a on error; ours 2 : 1, printed - : 0.123"],
    ]


def test_a_line_says_how_many_seeds_would_decide(tmp_path: Path):
    lines = terminal.table(findings.gather([found(tmp_path, ONE, arms([1] * 11 + [3] * 5, [2] * 16), 16)]))
    assert row(lines[1]) == ["literal/one", "not all measured", "0 / 0 / 1", "16", "none"]
    seeds = re.fullmatch(
        r"  INCONCLUSIVE +11/16  a beats b on error; ours 1 : 2; about (\d+) seeds would decide: --claims-seeds (\d+)",
        lines[2],
    )
    assert seeds is not None
    assert 200 <= int(seeds[1]) == int(seeds[2]) <= 220


def test_a_line_of_a_printed_number_has_its_p_value(tmp_path: Path):
    a = Arm({"values": tuple(range(1, 20))}, {"Table 1": {ERROR: 2.5}})
    lines = terminal.table(findings.gather(all_found(tmp_path, consistent_with("a", 2.5, ERROR), a=a)))
    assert [row(line) for line in lines[1:]] == [
        ["literal/one", "REPRODUCED", "1 / 0 / 0", "19", "none"],
        ["", "REPRODUCED", "p=0.3", "a: error is 2.5 as printed; ours 10, printed 2.5"],
    ]


CHARTER: dict[str, Relation] = {
    "norm+xavier beats none on error; ours 1 : 2": beats("norm+xavier", "none", ERROR),
    "ReLU beats Tanh on error; ours 1 : 2": beats("ReLU", "Tanh", ERROR),
    "lr 0.1 diverges; ours not finite : not finite": diverges("lr 0.1", ERROR, ERROR, ACCURACY),
    "5×5 no worse than 3×3 on error; ours 1 : 1": no_worse("5×5", "3×3", ERROR),
    "drop beats no drop on error; ours 1 : 2": beats("drop", "no drop", ERROR),
}


def test_each_sentence_of_a_claim_is_a_line(tmp_path: Path):
    """Not only the one that its verdict hangs on."""
    better, worse, lost = (Arm({"values": (value,) * 16}) for value in (1.0, 2.0, NAN))
    told = dict.fromkeys(["norm+xavier", "ReLU", "5×5", "3×3", "drop"], better)
    told |= dict.fromkeys(["none", "Tanh", "no drop"], worse) | {"lr 0.1": lost}
    lines = terminal.table(findings.gather(all_found(tmp_path, *CHARTER.values(), **told)))
    assert [row(line)[1:] for line in lines[2:]] == [["REPRODUCED", "16/16", sentence] for sentence in CHARTER]


def test_a_table_of_our_claims_is_at_most_120_columns_wide(tmp_path: Path):
    (finding,) = findings.gather([found(tmp_path, ONE, arms([1] * 11 + [3] * 5, [2] * 16), 16)])
    (judged,) = finding.judged.values()
    judged |= {"tag": "in doubt", "seeds_to_decide": 9999}
    judged["terms"] = [{**term, "median": -1.234e-05, "quoted": [1.234e-05] * 3} for term in judged["terms"]]
    names = {relation.name for module in MODULES for relation in claim_of(module).relations}
    assert max(map(len, names)) > 70
    finding.judged = dict.fromkeys(sorted(names), judged)
    finding.claim["relations"] = sorted(names)
    finding.claim["id"] = max((claim_of(module).id for module in MODULES), key=len)
    lines = terminal.table([finding])
    assert max(map(len, lines)) <= 120
    text = "".join("".join(lines).split())  # words are broken at hyphens
    for name in names:
        assert f"{name}; ours -1.23e-05".replace(" ", "") in text


def test_a_claim_of_which_nothing_was_judged_has_no_row(tmp_path: Path):
    assert terminal.table(findings.gather([found(tmp_path, "arm[a", BETTER)])) == []


def test_rows_of_two_scales_are_told_apart(tmp_path: Path):
    both = [found(tmp_path, ONE, BETTER), found(tmp_path, ONE, BETTER)]
    both[1]["today"]["scale"] = "full"
    names = [row(line)[0] for line in terminal.table(findings.gather(both))]
    assert names == ["claim", "literal/one (full)", "", "literal/one (quick)", ""]


# whether the settings are the report's


def printing(values: Sequence[float], *printed: float) -> Arm:
    return Arm({"values": tuple(values)}, {f"Table {table}": {ERROR: value} for table, value in enumerate(printed)})


def fit(*records: list[dict[str, Any]]) -> findings.Fit:
    (found,) = findings.fits(findings.gather(record for claim in records for record in claim))
    return found


def test_a_printed_number_counts_once_however_often_it_is_quoted(tmp_path: Path):
    base, other = printing(range(8), 1.5, 1.5, 2.5), printing(range(1, 9), 1.5)
    one = all_found(tmp_path, beats("base", "b", ERROR), base=base, b=other)
    two = all_found(tmp_path, beats("b", "norm", ERROR), name="two", norm=base, b=other)
    assert fit(one) == fit(one, two) == fit(two, one) == findings.Fit("literal", "quick", "none", 3, 3)


def test_a_printed_number_counts_with_the_most_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    few = all_found(tmp_path, beats("a", "b", ERROR), a=printing([1.0] * 9, 1.0), b=printing([1.0] * 9))
    many = json.loads(json.dumps(few).replace("literal/one", "literal/first"))
    for record in many:
        record["today"]["seeds"] = 10
        for quoted in record["quoted"].values():
            for printed in quoted:
                printed["percentile"] = 0.0
    assert (fit(few).inside, fit(many).inside, fit(few, many).inside, fit(many, few).inside) == (1, 0, 0, 0)
    assert fit(few, many).numbers == 1


@pytest.mark.parametrize(
    ("below", "equal", "n", "inside"),
    [(1, 0, 200, 1), (0, 2, 200, 1), (0, 1, 200, 0), (199, 0, 200, 1), (200, 0, 200, 0), (0, 0, 8, 0), (8, 0, 8, 0)],
)
def test_a_printed_number_is_inside_from_half_a_percent_on(tmp_path: Path, below: int, equal: int, n: int, inside: int):
    values = [1.0] * below + [2.0] * equal + [3.0] * (n - below - equal)
    told = all_found(tmp_path, beats("a", "b", ERROR), a=printing(values, 2.0), b=printing(values))
    assert fit(told) == findings.Fit("literal", "quick", "none", 1, inside)


@pytest.mark.parametrize(
    ("numbers", "inside", "doubted"),
    [(5, 2, True), (5, 3, False), (5, 0, True), (4, 0, False), (6, 3, False), (6, 2, True), (1, 0, False)],
)
def test_settings_are_doubted_where_most_of_five_lie_outside(numbers: int, inside: int, doubted: bool):
    told = findings.Fit("trig", "quick", "drawn", numbers, inside)
    assert told.doubted is doubted
    text = f"trig: {inside} of {numbers} printed numbers lie within [0.5, 99.5] % of our seeds"
    doubt = ": these settings are probably not the report's, and nothing is judged NOT_REPRODUCED meanwhile"
    assert str(told) == text + doubt * doubted


def test_each_scale_and_data_set_has_a_fit_of_its_own(tmp_path: Path):
    quick = all_found(tmp_path, beats("a", "b", ERROR), a=printing(range(8), 1.5), b=printing(range(8)))
    full = json.loads(json.dumps(quick).replace('"scale": "quick"', '"scale": "full"'))
    other = json.loads(json.dumps(quick).replace('"name": "none"', '"name": "real"'))
    fits = findings.fits(findings.gather([*quick, *full, *other]))
    assert [(each.scale, each.data, each.numbers) for each in fits] == [
        ("full", "none", 1), ("quick", "none", 1), ("quick", "real", 1),
    ]  # fmt: skip
    assert findings.fits(findings.gather(all_found(tmp_path, beats("a", "b", ERROR), **BETTER))) == []


def test_fewer_than_eight_seeds_have_no_fit(tmp_path: Path):
    eight, seven = (
        all_found(tmp_path, beats("a", "b", ERROR), name=f"of-{n}", a=printing(range(n), 1.5), b=printing(range(n)))
        for n in (8, 7)
    )
    assert fit(eight) == fit(eight, seven)
    assert findings.fits(findings.gather(seven)) == []


def test_numbers_of_a_replay_have_no_fit(tmp_path: Path):
    once = printing(range(8), 1.5)
    again = replace(once, replay=True)
    records = all_found(tmp_path, beats("a", "b", ERROR), a=again, b=printing(range(8), 2.5, 3.5))
    assert fit(records).numbers == 2
    (finding,) = findings.gather(records)
    assert [(arm["replay"], len(arm["quoted"])) for arm in finding.document(RUN)["arms"]] == [(True, 1), (False, 2)]


def test_numbers_are_quoted_at_comparable_scales_only(tmp_path: Path):
    claim = Claim(
        id="literal/one", statement="", source="", lab=Literal, arms={"a": printing(range(8), 1.5), "b": Arm()},
        relations=[beats("a", "b", ERROR)], seeds={"quick": 4, "full": 4}, comparable=["full"],
    )  # fmt: skip
    claim.validate()
    session = Session(TrialStore(tmp_path), tmp_path / "none", device="cpu", update=True)
    of = {check.scale: check.run(session).finding for check in checks(claim) if check.name.startswith("arm[a")}
    assert {scale: len(finding.quoted["a"]) for scale, finding in of.items()} == {"quick": 0, "full": 1}
    terms = [
        check.run(session).finding.judged["a beats b on error"]["terms"][0]["quoted"]
        for check in checks(claim)
        if check.name.startswith("relation")
    ]
    assert terms == [[], [1.5]]


@pytest.mark.parametrize("comparable", ["full", ["half"], [1]])
def test_a_scale_that_is_none_cannot_be_comparable(comparable: Any):
    claim = Claim(
        id="literal/one", statement="", source="", lab=Literal, arms={"a": Arm(), "b": Arm()},
        relations=[beats("a", "b", ERROR)], comparable=comparable,
    )  # fmt: skip
    with pytest.raises(ClaimError, match=r"^literal/one: comparable must be a list of the scales quick and full, got"):
        claim.validate()


FAR = {"a": printing([2.0] * 16, 5.0, 6.0, 7.0, 8.0, 9.0), "b": printing([1.0] * 16)}
"""Five printed numbers, none of them as our seeds have them."""


def test_settings_in_doubt_refute_nothing(tmp_path: Path):
    records = all_found(tmp_path, beats("a", "b", ERROR), beats("b", "a", ERROR), **FAR)
    other = all_found(tmp_path, beats("b", "a", ERROR), name="two", **BETTER)
    one, two = findings.gather([*records, *other])
    doubted, kept = one.document(RUN)["relations"]
    assert (one.verdict, one.deciding[0]) == ("INCONCLUSIVE", "a beats b on error")
    assert (doubted["verdict"], doubted["tag"], doubted["seeds_to_decide"], doubted["holds"]) == (
        "INCONCLUSIVE", "in doubt", None, 0,
    )  # fmt: skip
    assert (kept["verdict"], kept["tag"]) == ("REPRODUCED", "")
    assert [judged["tag"] for judged in two.judged.values()] == ["in doubt"]  # another claim of that lab
    assert {name: judged["verdict"] for name, judged in one.today.relations.items()} == {
        "a beats b on error": "NOT_REPRODUCED", "b beats a on error": "REPRODUCED",
    }  # fmt: skip
    assert one.today.relations["a beats b on error"]["tag"] == "reversed"
    report = findings.document([one, two], RUN)
    assert report["fits"] == [
        {"lab": "literal", "scale": "quick", "data": "none", "numbers": 5, "inside": 0, "doubted": True}
    ]
    lines = terminal.table([one, two])
    assert row(lines[1])[1:3] == ["INCONCLUSIVE", "1 / 0 / 1"]
    assert lines[2].startswith("> INCONCLUSIVE (in doubt)      0/16  a beats b on error; ours 2 : 1")
    assert not any("NOT_REPRODUCED" in line for line in lines)


def test_numbers_on_stand_in_data_have_no_fit_and_doubt_nothing(tmp_path: Path):
    records = all_found(tmp_path, beats("a", "b", ERROR), **FAR)
    stand_in = json.loads(json.dumps(records).replace('"name": "none"', '"name": "stand-in-none"'))
    (real,), (other,) = findings.gather(records), findings.gather(stand_in)
    assert (real.verdict, other.verdict) == ("INCONCLUSIVE", "NOT_REPRODUCED")
    assert findings.fits([real, other]) == findings.fits([real]) != []
    assert findings.fits([other]) == []
    assert len(other.quoted["a"]) == 5


FIVE = '{"low": Arm({"level": 1.0}, {"text": {ERROR: 5.0, ACCURACY: 0.9}, "Table 2": {ERROR: 6.0, ACCURACY: 0.95}}), '
FIVE += '"top": Arm({"level": 3.0}, {"text": {ERROR: 9.0}})}'


def test_a_session_in_doubt_refutes_in_the_baseline_only(project: Project):
    project.write("test_top.py", TOP.replace('{"low": Arm({"level": 1.0}), "top": Arm({"level": 3.0})}', FIVE))
    for options in (["--claims-update", "first"], []):
        result = project.run("test_top.py", "--claims-report", "out", *options)
        text = "toy: 0 of 5 printed numbers lie within [0.5, 99.5] % of our seeds: these settings are probably not the "
        assert count_lines(result, f"{text}report's, and nothing is judged NOT_REPRODUCED meanwhile") == 1
        assert count_lines(result, "> INCONCLUSIVE (in doubt)      0/10  top beats low on error; ours ") == 1
    result.assert_outcomes(passed=4)
    report = project.report()
    (top,) = report["claims"]
    assert [relation["tag"] for relation in top["relations"]] == ["in doubt", ""]
    assert (top["verdict"], top["deciding"]) == ("INCONCLUSIVE", "top beats low on error")
    assert report["fits"] == [
        {"lab": "toy", "scale": "quick", "data": "drawn", "numbers": 5, "inside": 0, "doubted": True}
    ]
    stored = baselines.read(project.file("top")).relations["top beats low on error"]
    assert (stored["verdict"], stored["tag"]) == ("NOT_REPRODUCED", "reversed")
    page = (project.folder / "out" / "report.html").read_text()
    assert "0 of 5 printed numbers lie within [0.5, 99.5] % of our seeds: these settings are probably not the" in page
    assert "our settings are probably not the report&#39;s, so that it cannot be refuted with them" in page
    assert "Not reproduced" not in page.partition("<main")[2]


def test_few_numbers_outside_leave_a_verdict(tmp_path: Path):
    few = {**FAR, "a": printing([2.0] * 16, 5.0, 6.0, 7.0, 8.0)}
    (one,) = findings.gather(all_found(tmp_path, beats("a", "b", ERROR), **few))
    assert one.verdict == "NOT_REPRODUCED"


def test_a_report_replaces_another_whole(tmp_path: Path):
    file = findings.write({"a": 1}, tmp_path / "new" / "folder")
    assert file == findings.write({"größe": None}, tmp_path / "new" / "folder")
    assert json.loads(file.read_text(encoding="utf-8")) == {"größe": None}
    assert list(file.parent.iterdir()) == [file]


# report.json of a session


def test_workers_report_what_one_process_does(alone: Recorded, shared: Recorded):
    assert untimed(shared.report) == untimed(alone.report)


def test_times_stand_apart_in_a_report(alone: Recorded, shared: Recorded):
    for session in (alone, shared):
        times = session.report["times"]
        assert set(times) == {"finished", "seconds", "cpu_seconds"}
        assert {claim: set(arms) for claim, arms in times["cpu_seconds"].items()} == {
            "toy/order (quick)": {"low", "high"},
            "toy/top (quick)": {"low", "top"},
        }
        assert all(0 < seconds < 120 for arms in times["cpu_seconds"].values() for seconds in arms.values())
        assert "seconds" not in json.dumps(untimed(session.report)).replace("seconds_to_decide", "")


def test_each_scale_has_times_of_its_own(project: Project):
    project.write("test_order.py", ORDER.replace('{"quick": 16}', '{"quick": 2, "full": 3}'))
    tests = ["test_order.py::arm[low-quick]", "test_order.py::arm[high-full]"]
    project.run(*tests, "--claims-device", "cpu", "--claims-report", "out")
    assert len(project.report()["claims"]) == 2
    times = json.dumps(project.report()["times"]["cpu_seconds"])
    assert ("low" in times, "high" in times) == (True, True)


def test_a_report_holds_the_evidence(alone: Recorded):
    report = alone.report
    assert report["schema"] == 4
    order, top = report["claims"]
    for claim in (order, top):
        assert claim["scale"] == "quick"
        assert set(claim["environment"]) == {"capability", "cpu", "device", "numpy", "precision", "threads", "torch"}
        assert claim["data"] == {"name": "drawn", "digest": "0123456789abcdef"}
        assert claim["missing"] == []
        assert claim["overridden"] == {}
        assert claim["scaled"] == [{"setting": "epochs", "value": 3, "report": 9}]
        assert claim["evidence"] == [
            {
                "setting": "noise",
                "value": 0.1,
                "grade": "open",
                "reason": "not stated",
                "alternatives": [0.2, 0.5],
            },
            {
                "setting": "loud",
                "value": False,
                "grade": "script",
                "reason": "read in the script",
                "alternatives": [],
            },
        ]
        for arm in claim["arms"]:
            assert {len(values) for values in arm["metrics"].values()} == {claim["seeds"]}
        for relation in claim["relations"]:
            assert set(relation) == RELATION
            assert relation["kind"] == "share"
            assert set(relation["effect"]) == {"kind", "median", "low", "high"}
    assert {key: order[key] for key in ("id", "statement", "source", "seeds", "verdict", "notes")} == {
        "id": "toy/order",
        "statement": "Low errs less than high.",
        "source": "Table 1",
        "seeds": 16,
        "verdict": "REPRODUCED",
        "notes": ["An error is what Toy calls one."],
    }
    low, high = order["arms"]
    assert (low["name"], list(low["metrics"])) == ("low", ["error"])
    assert (high["name"], list(high["metrics"])) == ("high", ["error", "accuracy"])
    assert high["settings"] == {"level": 2.0, "epochs": 3, "widths": [3, 4], "noise": 0.1, "loud": False}
    assert high["quoted"] == [
        {"metric": "error", "value": None, "where": "Table 1", "percentile": 100.0},
        {"metric": "accuracy", "value": 0.5, "where": "text", "percentile": 100.0},
    ]
    assert top["verdict"] == "NOT_REPRODUCED"
    assert [(found["name"], found["verdict"], found["tag"]) for found in top["relations"]] == [
        ("top beats low on error", "NOT_REPRODUCED", "reversed"),
        ("low beats top on error", "REPRODUCED", ""),
    ]


def test_values_that_are_not_finite_are_null(project: Project):
    project.change("metrics['error'][:] = [np.nan, np.inf, -np.inf, 1, 2, 3][:len(seeds)]")
    project.run("test_order.py", "--claims-report", "out")
    (order,) = project.report()["claims"]
    assert order["arms"][0]["metrics"]["error"][:6] == [None, None, None, 1.0, 2.0, 3.0]
    assert order["relations"][0]["ties"] == 16


def test_a_report_does_not_depend_on_what_else_runs(project: Project, alone: Recorded):
    for folder, args in {"first": [], "second": [], "one": ["test_top.py"]}.items():
        project.run("--claims-report", folder, *args)
    first, second, one = (project.report(folder) for folder in ("first", "second", "one"))
    assert untimed(first) == untimed(second)
    assert one["claims"] == [first["claims"][1]]
    assert first["claims"] == alone.report["claims"]


def test_a_report_of_a_part_says_what_is_missing(project: Project):
    part = ["test_top.py::relation[low beats top on error-quick]", "test_order.py::arm[high-quick]"]
    project.run(*part, "--claims-report", "out")
    order, top = project.report()["claims"]
    assert (order["verdict"], order["missing"]) == (None, ["low", "low beats high on error"])
    assert (top["verdict"], top["missing"]) == (None, ["low", "top", "top beats low on error"])
    assert [arm["name"] for arm in order["arms"]] == ["high"]
    project.run("test_top.py::relation[top beats low on error-quick]", "--claims-report", "out")
    (top,) = project.report()["claims"]
    assert (top["verdict"], top["missing"]) == ("NOT_REPRODUCED", ["low", "top", "low beats top on error"])


def test_a_report_names_what_was_overridden(project: Project):
    overrides = ["--claims-set", "toy.noise=0.5", "--claims-set", "toy.loud=true"]
    project.run("test_top.py", *overrides, "--claims-report", "out")
    (top,) = project.report()["claims"]
    assert top["overridden"] == {"toy.noise": 0.5, "toy.loud": True}
    assert {known["setting"]: known["value"] for known in top["evidence"]} == {"loud": True, "noise": 0.5}
    assert top["scaled"] == [{"setting": "epochs", "value": 3, "report": 9}]
    assert top["arms"][0]["settings"] == {"level": 1.0, "epochs": 3, "widths": [3, 4], "noise": 0.5, "loud": True}


def test_a_report_that_cannot_be_written_fails_the_run_in_a_line(project: Project):
    project.recorded()
    with limited_file_size(10_000):
        result = project.run("--claims-report", "out")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=7)
    assert count_lines(result, "no report written: ") == 1
    assert count_lines(result, "name another folder with --claims-report") == 1
    assert count_lines(result, "Traceback") == count_lines(result, "INTERNALERROR") == 0


def test_a_report_that_the_disk_has_no_room_for_leaves_nothing(tmp_path: Path):
    with limited_file_size(10_000), pytest.raises(OSError, match="File too large"):
        findings.write({"long": "." * 20_000}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_terminal_shows_claims_and_relations(alone: Recorded, shared: Recorded):
    for output in (alone.output, shared.output):
        lines = output.splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith("claim  "))
        rows = [row(line) for line in lines[start + 1 : start + 6]]
        assert rows[0] == ["toy/order", "REPRODUCED", "1 / 0 / 0", "16", "drawn"]
        assert rows[1][:3] == ["", "REPRODUCED", "16/16"]
        assert re.fullmatch("low beats high on error; ours .* : .*, printed 1 : not finite", rows[1][3])
        assert rows[2] == ["toy/top", "NOT_REPRODUCED", "1 / 1 / 0", "10", "drawn"]
        assert rows[3][:2] == ["> NOT_REPRODUCED (reversed)", "0/10"]
        assert rows[3][2].startswith("top beats low on error; ours ")
        assert rows[4][1:3] == ["REPRODUCED", "10/10"]
        assert "printed numbers lie" not in output  # three are too few to say anything
