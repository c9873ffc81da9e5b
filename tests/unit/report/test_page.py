"""report.html, which contains everything that report.json does and needs no other file."""

import json
import re
from collections import Counter
from html.parser import HTMLParser
from typing import Any

import jsonschema
import pytest

from labcheck.core.verdicts import Verdict
from labcheck.engine.claim_results import IN_DOUBT
from labcheck.report import page
from labcheck.report.document import RunInfo, RunResults, document
from tests.helpers.project import ORDER, Project, Recorded, count_lines
from tests.helpers.report import SCHEMA, TIMES, visible_text, without_times

VOID = {"meta", "link", "input", "br", "img"}
"""The elements without an end tag."""


class Tags(HTMLParser):
    """The elements of a page.

    Raises:
        AssertionError: An element is not closed, or has an attribute twice.
    """

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), (tag, attrs)
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID and not (tag == "tr" and "tr" not in self.open):
            assert self.open.pop() == tag, (tag, self.open, self.getpos())

    def of(self, name: str) -> list[str]:
        """Return all values of an attribute."""
        return [attributes[name] for _, attributes in self.tags if name in attributes]


def claim_of(report: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the entry of a claim in a report."""
    claim: dict[str, Any] = next(claim for claim in report["claims"] if claim["id"] == name)
    return claim


def text_of(report: dict[str, Any], claim: dict[str, Any]) -> str:
    """Return the visible text of the page of a report with one claim."""
    return visible_text(page.render(report | {"claims": [claim]}))


# structure


@pytest.mark.slow
def test_page_shows_every_claim(real: dict[str, Any], real_page: str) -> None:
    tags, text = Tags(real_page), visible_text(real_page)
    anchors = [attributes["id"] for tag, attributes in tags.tags if tag == "article"]
    assert len(anchors) == len(real["claims"]) == 5
    assert [f"#{anchor}" for anchor in anchors] == [href for href in tags.of("href") if href != "#claims"]
    assert max(Counter(tags.of("id")).values()) == 1
    assert {*tags.of("aria-labelledby")} <= {*tags.of("id")}
    for claim in real["claims"]:
        for content in (claim["statement"], claim["citation"], claim["command"], claim["data"]["name"]):
            assert content in text
        for relation in claim["relations"]:
            if relation["kind"] == "share":
                assert f"It holds in {relation['holds']} of {relation['n']} seeds" in text
            else:
                assert f"It is above {relation['below']} and equal to {relation['equal']} of {relation['n']}" in text


def test_page_refers_to_no_other_file(real_page: str) -> None:
    tags = Tags(real_page)
    assert tags.of("src") == []
    assert all(href.startswith("#") for href in [*tags.of("href"), *tags.of("xlink:href")])
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org)", real_page)
    assert [attributes for tag, attributes in tags.tags if tag in ("link", "img", "iframe", "object")] == []


def test_text_of_claims_is_escaped(real_page: str) -> None:
    assert "&lt;b&gt;wild" in real_page
    assert "<b>wild" not in real_page


def test_only_filter_is_hidden_without_script(real_page: str) -> None:
    hidden = [attributes.get("class") for _, attributes in Tags(real_page).tags if "hidden" in attributes]
    assert hidden == ["filter"]


def test_page_of_empty_report_is_complete() -> None:
    shown = page.render(document(RunResults([], []), RunInfo(times=TIMES)))
    Tags(shown)
    assert "No claim was measured." in shown


@pytest.mark.slow
def test_page_of_41_claims_is_below_five_megabytes(real: dict[str, Any]) -> None:
    """Few claims are half as large as this one: images, five arms, 60 seeds, 120 records."""
    fashion = claim_of(real, "fashion/small")
    spread = {name: [1.2345 + 0.001 * (index % 7) for index in range(120)] for name in ("low", "median", "high")}
    arm = fashion["arms"][0] | {"after": list(range(1, 121))}
    arm["curves"] = {name: {"unit": "", **spread} for name in arm["curves"]}
    arm["metrics"] = {name: [0.5 + 0.001 * seed for seed in range(60)] for name in arm["metrics"]}
    large = fashion | {"arms": [arm | {"name": f"arm {index}"} for index in range(5)]}
    assert len(page.render(real | {"claims": [large]}).encode()) < 2 * 5e6 / 41


# numbers


def test_printed_numbers_are_beside_ours(real: dict[str, Any], real_page: str) -> None:
    ours = sorted(claim_of(real, "boston/small")["arms"][0]["metrics"]["test_mse"])[1]
    text = visible_text(real_page)
    assert f"tame test_mse Table 1 12.5 {ours:.4g} " in text
    assert "tame test_mse text not finite" in text
    assert "report 43.2" in text


def test_printed_number_has_p_value_and_sampling_error(real: dict[str, Any], real_page: str) -> None:
    judged = claim_of(real, "fashion/small")["relations"][1]
    assert {name: judged[name] for name in ("kind", "verdict", "below", "equal", "n", "p", "printed", "best_of")} == {
        "kind": "number", "verdict": "INCONCLUSIVE", "below": 2, "equal": 0, "n": 2, "p": pytest.approx(2 / 3),
        "printed": 0.9876, "best_of": 1,
    }  # fmt: skip
    counts = "is above 2 and equal to 0 of 2 seeds, p = 0.67; its sampling error is ± 0.0011"
    text = visible_text(real_page)
    assert f"It {counts}." in text
    assert f"{judged['name']} {counts}; about 19 seeds would decide ( --claims-seeds 19 )." in text


def test_non_finite_median_is_named(real_page: str) -> None:
    assert "The median is not finite at the end: &lt;b&gt;wild" in real_page
    assert "3 of 3 not finite" in real_page


def test_confusion_is_percent_of_true_class(real: dict[str, Any]) -> None:
    tables = page._confusion(claim_of(real, "fashion/small"))
    assert list(tables) == ["train", "test"]
    for row in tables["train"][0][1]:
        assert sum(cell or 0 for cell in row) == pytest.approx(100)


def test_class_without_images_has_no_accuracy() -> None:
    arm = {"name": "a", "quoted": [], "tables": {"test_confusion": {"mean": [[0, 0], [1, 3]]}}}
    rows = [{"arm": "a", "classes": [(None, None), (75.0, None)]}]
    assert page._classes({"arms": [arm]}) == {"measure": "accuracy", "rows": rows}


def test_classes_have_precision_if_report_prints_it() -> None:
    quoted = [{"metric": "test_precision_1", "value": 0.9}]
    arms = [
        {"name": name, "quoted": numbers, "tables": {"test_confusion": {"mean": [[3, 1], [0, 4]]}}}
        for name, numbers in (("a", []), ("b", quoted))
    ]
    rows = [
        {"arm": "a", "classes": [(100.0, None), (80.0, None)]},
        {"arm": "b", "classes": [(100.0, None), (80.0, 0.9)]},
    ]
    assert page._classes({"arms": arms}) == {"measure": "precision", "rows": rows}


# settings and verdicts


def test_settings_of_scale_are_listed(real: dict[str, Any]) -> None:
    trig = claim_of(real, "trig/small")
    assert trig["scaled"] == []  # its arm sets them
    scaled = [{"setting": "epochs", "value": 3, "report": 9}, {"setting": "widths", "value": [5], "report": [9, 9]}]
    text = text_of(real, trig | {"scaled": scaled})
    assert "Reduced at quick scale: epochs 3 (report: 9); widths 5 (report: 9-9)." in text


@pytest.mark.slow
def test_unstated_settings_have_grade_and_reason(real: dict[str, Any]) -> None:
    trig = claim_of(real, "trig/small")
    grades = {entry["setting"]: entry["grade"] for entry in trig["unstated"]}
    assert (grades["batch"], grades["split"]) == ("script", "numbers")
    assert "samples" not in grades  # its arm sets it
    unstated = [
        {"setting": grade, "value": 1, "grade": grade, "reason": "why", "alternatives": others}
        for grade, others in (
            ("script", []),
            ("numbers", [{"value": 2, "reason": "doubted"}, {"value": 3, "reason": ""}]),
            ("likely", [{"value": [3, 4], "reason": ""}]),
            ("open", [{"value": True, "reason": ""}, {"value": "tap", "reason": "near"}]),
        )
    ]
    jsonschema.validate(real | {"claims": [trig | {"unstated": unstated}]}, SCHEMA)
    text = text_of(real, trig | {"unstated": unstated})
    assert "script = 1, from its script why" in text
    assert "numbers = 1, computed from its printed numbers why; also plausible: 2 (doubted); 3" in text
    assert "likely = 1, likely why; also plausible: 3-4" in text
    assert "open = 1, assumed why; also plausible: true; tap (near)" in text


def test_stand_in_data_is_named(real: dict[str, Any], real_page: str) -> None:
    assert [claim["id"] for claim in real["claims"] if claim["data"]["stand_in"]] == ["fashion/small"]
    assert visible_text(real_page).count("stand-in-digits , a stand-in for the report's data.") == 1


@pytest.mark.parametrize("verdict", [*Verdict, None])
def test_verdict_has_one_word_on_page(real: dict[str, Any], verdict: Verdict | None) -> None:
    claim = claim_of(real, "sine/small") | {"verdict": verdict and str(verdict)}
    shown = page.render(real | {"claims": [claim]})
    word = verdict or "INCOMPLETE"
    badges = re.findall(r'<span class="badge (\w+)">(\w+)', shown.partition("<nav")[2])
    assert badges[:2] == [((verdict or "none").lower(), word)] * 2  # in the list of claims, and in its heading
    assert re.findall(r'data-verdict="(\w+)"', shown) == [verdict or "none"] * 2
    assert f"<strong>1</strong> {word}" in shown


def test_every_tag_has_meaning() -> None:
    tags = set(SCHEMA["$defs"]["relation"]["properties"]["tag"]["enum"]) - {""}
    assert set(page.MEANINGS) == tags
    assert IN_DOUBT in tags


# the page of a session


@pytest.mark.slow
def test_page_is_rendered_from_report_alone(project: Project) -> None:
    project.run("--claims-report", "out")
    written = (project.folder / "out" / "report.html").read_text()
    assert page.render(project.report()) == written


@pytest.mark.slow
def test_workers_write_same_page_as_one_process(alone: Recorded, shared: Recorded) -> None:
    one, two = (page.render(without_times(session.report) | {"times": TIMES}) for session in (alone, shared))
    assert one == two


def test_page_of_partial_run_lists_missing_tests(project: Project) -> None:
    project.run("test_order.py::arm[high-quick]", "--claims-report", "out")
    text = project.page_text()
    assert "Not measured in this run: low; low beats high on error." in text
    assert "toy/order INCOMPLETE" in text
    assert "toy/top" not in text


@pytest.mark.slow
def test_page_shows_drift_and_errors(project: Project) -> None:
    project.recorded()
    project.change("metrics['error'][0] += (lab.level == 2); 1 / (lab.level != 3)")
    project.run("--claims-report", "out", "--claims-seeds", "10")
    report = project.report()
    jsonschema.validate(report, SCHEMA)
    assert [(problem["claim"], problem["test"], problem["kind"]) for problem in report["problems"]] == [
        ("toy/order", "arm[high-quick]", "drift"),
        ("toy/top", "arm[top-quick]", "error"),
        ("toy/top", "relation[low beats top on error-quick]", "error"),
        ("toy/top", "relation[top beats low on error-quick]", "error"),
    ]
    text = project.page_text()
    assert "Drifted: arm[high-quick]: arm 'high' has drifted: error: 2 of 10 seeds differ, first seed 0" in text
    error = "arm 'top' (level=3.0), seeds 0-5: ZeroDivisionError: division by zero"
    assert f"Could not be run: arm[top-quick]: {error}" in text
    assert "Not measured in this run: top;" in text


def test_claim_without_result_is_listed_as_missing(project: Project) -> None:
    project.change("1 / (lab.level != 3 and lab.level != 1)")
    project.run("--claims-report", "out")
    error = "arm 'low' (level=1.0), seeds 0-5: ZeroDivisionError: division by zero"
    before = project.page_text().partition(f"toy/top (quick) arm[low-quick]: {error}")[0]
    assert "Missing from this page" in before
    assert "How to read this page" not in before


@pytest.mark.slow
def test_module_with_error_is_listed_as_problem(project: Project) -> None:
    project.recorded().write("test_broken.py", "1 / 0")
    project.run("--claims-report", "out", "--continue-on-collection-errors")
    (problem,) = project.report()["problems"]
    assert (problem["test"], problem["text"]) == ("test_broken.py", "ZeroDivisionError: division by zero")


def test_skipped_tests_are_counted(project: Project) -> None:
    project.write("test_order.py", ORDER.replace('{"quick": 16}', '{"quick": 2, "full": 3}'))
    project.monkeypatch.setattr("labcheck.engine.environment.has_device", lambda device: device == "cpu")
    project.run("test_order.py", "--claims-report", "out")
    (skipped,) = project.report()["skipped"]
    assert skipped == {
        "reason": "claims at full size need a GPU, and none is available; --claims-device cpu runs them on the CPU",
        "tests": 3,
    }
    assert f"3 tests skipped: {skipped['reason']}" in project.page_text()


@pytest.mark.parametrize(
    "options", [[], ["--claims-seeds", "3", "--claims-device", "cpu", "--claims-set", "toy.loud=true"]]
)
def test_claim_has_command_that_runs_it_again(project: Project, options: list[str]) -> None:
    project.run("test_top.py", "--claims-report", "out", *options)
    (top,) = project.report()["claims"]
    assert top["command"] == " ".join(["pytest test_top.py -m 'not gpu'", *options])


@pytest.mark.slow
def test_run_without_report_imports_no_matplotlib(project: Project) -> None:
    imported = "'imported' if 'matplotlib' in sys.modules else 'not imported'"
    hook = f"import sys\n\ndef pytest_unconfigure():\n    print('matplotlib is', {imported})\n"
    (project.folder / "conftest.py").write_text(hook)
    assert count_lines(project.run_in_subprocess("-s", "test_top.py"), "matplotlib is not imported") == 1
    with_report = project.run_in_subprocess("-s", "test_top.py", "--claims-report", "out")
    assert count_lines(with_report, "matplotlib is imported") == 1


def test_report_file_has_one_line_per_list_of_numbers(alone: Recorded, project: Project) -> None:
    project.run("test_top.py", "--claims-report", "out")
    text = (project.folder / "out" / "report.json").read_text()
    assert json.loads(text) == project.report()
    assert re.search(r'"error": \[ ?[\d., -]+\]', text)
