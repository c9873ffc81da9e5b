"""report.html: all that report.json says, and nothing from elsewhere."""

import copy
import html
import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from labcheck.core.claims import Arm, Claim
from labcheck.core.comparisons import beats, reaches, stays_worse_than
from labcheck.core.metrics import Metric
from labcheck.core.printed import consistent_with
from labcheck.engine.checks import checks
from labcheck.engine.session import Session
from labcheck.engine.store import TrialStore
from labcheck.labs.boston import FINAL_LOSS, TEST_MSE, Boston
from labcheck.labs.curve import GRID_MSE, Curve
from labcheck.labs.fashion import TEST_ACCURACY, Fashion
from labcheck.labs.images import accuracy
from labcheck.labs.sine import Sine
from labcheck.labs.trig import VAL_MSE, Trig
from labcheck.report import findings, page
from tests.helpers.project import ORDER, WITHOUT_TORCH, Project, Recorded, count_lines

from .test_report import untimed

SCHEMA = json.loads((files("labcheck.report") / "report.schema.json").read_text())
VOID = {"meta", "link", "input", "br", "img"}
TIMES = {"finished": "2026-01-01T00:00:00+00:00", "seconds": 1.0, "cpu_seconds": {}}
WILD = "<b>wild</b> & 'free'"
CLAIMS = [
    Claim(
        id="boston/small", statement=f"One is {WILD}.", source='"Table 1" <here>', lab=Boston, seeds={"quick": 3},
        arms={
            "tame": Arm({"lr": 0.001, "epochs": 3}, {"Table 1": {TEST_MSE: 12.5}, "text": {TEST_MSE: float("nan")}}),
            WILD: Arm({"lr": 10.0, "epochs": 3}),
        },
        relations=[beats("tame", WILD, TEST_MSE), reaches("tame", 1e9, FINAL_LOSS)],
    ),
    Claim(
        id="curve/small", statement="", source="", lab=Curve, seeds={"quick": 2},
        arms={"f": Arm({"epochs": 115})}, relations=[reaches("f", 1.0, GRID_MSE)],
    ),
    Claim(
        id="fashion/small", statement="", source="", lab=Fashion, seeds={"quick": 2},
        arms={"base": Arm({"hidden": 4, "epochs": 1}, {"Table": {TEST_ACCURACY: 0.5, accuracy("test", 3): 0.4321}})},
        relations=[reaches("base", 0.1, TEST_ACCURACY), consistent_with("base", 0.9876, TEST_ACCURACY, images=10_000)],
    ),
    Claim(
        id="sine/small", statement="", source="", lab=Sine, seeds={"quick": 2},
        arms={"s": Arm({"epochs": 2, "samples": 100})}, relations=[stays_worse_than("s", 9.0, Metric("test_mse", False))],
    ),
    Claim(
        id="trig/small", statement="", source="", lab=Trig, seeds={"quick": 2},
        arms={"t": Arm({"max_epochs": 2, "samples": 100})}, relations=[reaches("t", 1.0, VAL_MSE)],
    ),
]  # fmt: skip


class Tags(HTMLParser):
    """What a page is made of; a tag that is not closed, or an attribute twice, is an error."""

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
        """The values of an attribute."""
        return [attributes[name] for _, attributes in self.tags if name in attributes]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A report of small trainings in labs of each kind, one of which diverges."""
    folder = tmp_path_factory.mktemp("trials")
    session = Session(TrialStore(folder), folder / "none", update=True)
    found = [check.run(session).finding for claim in CLAIMS for check in checks(claim)]
    run = findings.Run({claim.id: f"tests/test {claim.id}.py" for claim in CLAIMS}, times=TIMES)
    return json.loads(json.dumps(findings.document(findings.gather(map(asdict, found)), run), allow_nan=False))


def text_of(page: str) -> str:
    """What a reader reads, each stretch of white space as one blank."""
    shown = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", shown)))


# report.json


def test_reports_are_as_the_schema_says(real: dict[str, Any], alone: Recorded) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for report in (real, alone.report):
        jsonschema.validate(report, SCHEMA)


def broken(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda claim: claim.update(changes)


@pytest.mark.parametrize(
    "change",
    [
        broken(verdict="MAYBE"), broken(seeds=0), broken(more=1), broken(id="boston"), broken(environment=None),
        lambda claim: claim.pop("command"),
        lambda claim: claim["arms"][0]["curves"]["val_loss"].pop("low"),
        lambda claim: claim["arms"][0]["metrics"].update(test_mse=["NaN"]),
        lambda claim: claim["arms"][0].update(after=list(range(121))),
        lambda claim: claim["relations"][0].update(lower=1.5),
        lambda claim: claim["relations"][0].update(tag="odd"),
        lambda claim: claim["relations"][0].update(kind="number"),
        lambda claim: claim["relations"][0].update(kind="other"),
        lambda claim: claim["relations"][0].pop("holds"),
        lambda claim: claim["evidence"][0].update(grade="stated"),
        lambda claim: claim["evidence"][0].pop("alternatives"),
        lambda claim: claim["evidence"][0].update(why="so"),
        lambda claim: claim.pop("scaled"),
        lambda claim: claim.update(scaled=[{"setting": "epochs", "value": 3}]),
        lambda claim: claim.update(assumptions=[]),
    ],
)  # fmt: skip
def test_the_schema_refuses_what_no_report_says(real: dict[str, Any], change: Callable[[dict[str, Any]], None]) -> None:
    report = copy.deepcopy(real)
    change(report["claims"][0])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(report, SCHEMA)


def test_a_function_is_told_at_200_points(real: dict[str, Any]) -> None:
    tables = {claim["id"].partition("/")[0]: claim["arms"][0]["tables"] for claim in real["claims"]}
    assert {lab: set(tables[lab]) for lab in ("curve", "sine", "trig")} == {
        "curve": {"grid_x", "grid_true", "grid_fit"},
        "sine": {f"{weights}grid_{name}" for weights in ("", "final_") for name in ("x", "true", "fit")},
        "trig": {"grid_x", "grid_error"},
    }
    for lab in ("curve", "sine", "trig"):
        assert {len(table["median"]) for table in tables[lab].values()} == {200}
    assert tables["curve"]["grid_x"]["median"][0] == -5
    assert tables["sine"]["grid_true"]["median"][50] == 1


# the page


def test_a_page_shows_every_claim_and_is_whole(real: dict[str, Any]) -> None:
    shown = page.render(real)
    tags, text = Tags(shown), text_of(shown)
    anchors = [attributes["id"] for tag, attributes in tags.tags if tag == "article"]
    assert len(anchors) == len(CLAIMS)
    assert [f"#{anchor}" for anchor in anchors] == [href for href in tags.of("href") if href != "#claims"]
    assert max(Counter(tags.of("id")).values()) == 1
    assert {*tags.of("aria-labelledby")} <= {*tags.of("id")}
    for claim in real["claims"]:
        for told in [claim["statement"], claim["source"], claim["command"], claim["data"]["name"]]:
            assert told in text
        for relation in claim["relations"]:
            if relation["kind"] == "share":
                assert f"It holds in {relation['holds']} of {relation['n']} seeds" in text
            else:
                assert f"It lies above {relation['below']} and equals {relation['equal']} of {relation['n']}" in text


def test_a_page_needs_nothing_but_itself(real: dict[str, Any]) -> None:
    shown = page.render(real)
    tags = Tags(shown)
    assert tags.of("src") == []
    assert all(href.startswith("#") for href in [*tags.of("href"), *tags.of("xlink:href")])
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org)", shown)
    assert [attributes for tag, attributes in tags.tags if tag in ("link", "img", "iframe", "object")] == []


def test_what_a_claim_says_is_text(real: dict[str, Any]) -> None:
    assert "<b>wild" not in page.render(real)


def test_a_page_reads_without_its_script(real: dict[str, Any]) -> None:
    for tag, attributes in Tags(page.render(real)).tags:
        assert "hidden" not in attributes or attributes.get("class") == "filter", tag


def test_the_printed_numbers_stand_beside_ours(real: dict[str, Any]) -> None:
    (boston, *_), text = real["claims"], text_of(page.render(real))
    ours = sorted(boston["arms"][0]["metrics"]["test_mse"])[1]
    assert re.search(rf"tame test_mse Table 1 12.5 {ours:.4g} ".replace(".", r"\."), text)
    assert "tame test_mse text not finite" in text
    assert "report 43.2" in text


def test_a_printed_number_is_judged_beside_its_sampling_error(real: dict[str, Any]) -> None:
    fashion = next(claim for claim in real["claims"] if claim["id"] == "fashion/small")
    judged = fashion["relations"][1]
    assert {name: judged[name] for name in ("kind", "verdict", "below", "equal", "n", "p", "printed", "best_of")} == {
        "kind": "number", "verdict": "INCONCLUSIVE", "below": 2, "equal": 0, "n": 2, "p": pytest.approx(2 / 3),
        "printed": 0.9876, "best_of": 1,
    }  # fmt: skip
    text = text_of(page.render(real))
    assert "It lies above 2 and equals 0 of 2 seeds, p = 0.67; its sampling error is ± 0.0011." in text
    assert "lies above 2 and equals 0 of 2 seeds, p = 0.67; its sampling error is ± 0.0011; about 19 seeds" in text


def test_a_page_has_the_settings_that_a_scale_changes(real: dict[str, Any]) -> None:
    trig = next(claim for claim in real["claims"] if claim["id"] == "trig/small")
    assert trig["scaled"] == []  # its arm gives them
    scaled = [{"setting": "epochs", "value": 3, "report": 9}, {"setting": "widths", "value": [5], "report": [9, 9]}]
    shown = text_of(page.render(real | {"claims": [trig | {"scaled": scaled}]}))
    assert "The quick scale leaves out: epochs is 3, in the report 9; widths is 5, in the report 9-9." in shown


def test_a_page_has_the_evidence_of_each_grade(real: dict[str, Any]) -> None:
    trig = next(claim for claim in real["claims"] if claim["id"] == "trig/small")
    grades = {each["setting"]: each["grade"] for each in trig["evidence"]}
    assert (grades["batch"], grades["split"]) == ("script", "numbers")
    assert "samples" not in grades  # its arm gives it
    known = [
        {"setting": grade, "value": 1, "grade": grade, "reason": "why", "alternatives": others}
        for grade, others in (("script", []), ("numbers", []), ("likely", [[3, 4]]), ("open", [True, "tap"]))
    ]
    jsonschema.validate(real | {"claims": [trig | {"evidence": known}]}, SCHEMA)
    shown = text_of(page.render(real | {"claims": [trig | {"evidence": known}]}))
    assert "script = 1, read in its script why" in shown
    assert "numbers = 1, computed from its numbers why" in shown
    assert "likely = 1, likely why; also plausible: 3-4" in shown
    assert "open = 1, assumed why; also plausible: true, tap" in shown


def test_a_page_names_a_stand_in(real: dict[str, Any]) -> None:
    assert text_of(page.render(real)).count("a stand-in: these are not the report's images") == 1


def test_curves_that_diverge_are_told(real: dict[str, Any]) -> None:
    shown = page.render(real)
    assert "The median seed does not stay finite: &lt;b&gt;wild" in shown
    assert "3 of 3 not finite" in shown


def test_confusion_is_a_share_of_the_true_class(real: dict[str, Any]) -> None:
    fashion = next(claim for claim in real["claims"] if claim["id"] == "fashion/small")
    tables = page._confusion(fashion)
    assert list(tables) == ["train", "test"]
    for row in tables["train"][0][1]:
        assert sum(cell or 0 for cell in row) == pytest.approx(100)


def test_a_class_without_images_has_no_accuracy() -> None:
    arm = {"name": "a", "quoted": [], "tables": {"test_confusion": {"mean": [[0, 0], [1, 3]]}}}
    rows = [{"arm": "a", "classes": [(None, None), (75.0, None)]}]
    assert page._classes({"arms": [arm]}) == {"measure": "accuracy", "rows": rows}


def test_precisions_are_shown_where_the_report_prints_them() -> None:
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


def test_a_report_of_nothing_is_a_page() -> None:
    shown = page.render(findings.document([], findings.Run(times=TIMES)))
    Tags(shown)
    assert "No claim was measured." in shown


def test_all_claims_stay_below_five_megabytes(real: dict[str, Any]) -> None:
    """Each of 37 claims as large as the largest there are: images, five arms, 60 seeds, 120 records."""
    fashion = next(claim for claim in real["claims"] if claim["id"] == "fashion/small")
    spread = {name: [1.2345 + 0.001 * (index % 7) for index in range(120)] for name in ("low", "median", "high")}
    arm = fashion["arms"][0] | {"after": list(range(1, 121))}
    arm["curves"] = dict.fromkeys(arm["curves"], spread)
    arm["metrics"] = {name: [0.5 + 0.001 * seed for seed in range(60)] for name in arm["metrics"]}
    large = fashion | {"arms": [arm | {"name": f"arm {index}"} for index in range(5)]}
    assert len(page.render(real | {"claims": [large]}).encode()) < 2 * 5e6 / 37  # few have half of that


# the page of a session


def test_a_page_is_made_of_its_report_alone(alone: Recorded, project: Project) -> None:
    project.run("--claims-report", "out")
    written = (project.folder / "out" / "report.html").read_text()
    assert page.render(project.report()) == written


def test_workers_make_the_page_that_one_process_does(alone: Recorded, shared: Recorded) -> None:
    one, two = (page.render(untimed(session.report) | {"times": TIMES}) for session in (alone, shared))
    assert one == two


def test_a_page_of_a_part_says_what_is_missing(project: Project) -> None:
    project.run("test_order.py::arm[high-quick]", "--claims-report", "out")
    text = text_of((project.folder / "out" / "report.html").read_text())
    assert "Not measured in this run: low; low beats high on error." in text
    assert "Not all measured" in text
    assert "toy/top" not in text


def test_a_report_says_what_drifted_and_what_could_not_be_run(project: Project) -> None:
    project.recorded()
    project.change("metrics['error'][0] += (lab.level == 2); 1 / (lab.level != 3)")
    project.run("--claims-report", "out", "--claims-seeds", "10")
    report = project.report()
    jsonschema.validate(report, SCHEMA)
    told = [(found["claim"], found["test"], found["kind"]) for found in report["problems"]]
    assert told == [
        ("toy/order", "arm[high-quick]", "drift"),
        ("toy/top", "arm[top-quick]", "error"),
        ("toy/top", "relation[low beats top on error-quick]", "error"),
        ("toy/top", "relation[top beats low on error-quick]", "error"),
    ]
    text = text_of((project.folder / "out" / "report.html").read_text())
    assert "Drifted: arm[high-quick]: arm 'high' has drifted: error: 2 of 10 seeds differ, first seed 0" in text
    assert (
        "Could not be run: arm[top-quick]: arm 'top' (level=3.0), seeds 0-5: ZeroDivisionError: division by zero"
        in text
    )
    assert "Not measured in this run: top;" in text


def test_a_claim_of_which_nothing_ran_stands_at_the_head(project: Project) -> None:
    project.change("1 / (lab.level != 3 and lab.level != 1)")
    project.run("--claims-report", "out")
    text = text_of((project.folder / "out" / "report.html").read_text())
    assert re.search(
        r"cannot show toy/top \(quick\) arm\[low-quick\]: arm 'low' \(level=1.0\), seeds 0-5: ZeroDivisionError", text
    )


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (0.5, 2.0, " (95 % interval 0.5 to 2)"),
        (0.5, None, " (95 % interval: 0.5 or more; some seeds have no finite number)"),
        (None, 0.5, " (95 % interval: 0.5 or less; some seeds have no finite number)"),
        (None, None, ""),
    ],
)
def test_an_effect_has_an_interval_where_there_is_one(low: float | None, high: float | None, told: str) -> None:
    assert page.effect({"kind": "ratio", "median": 1.0, "low": low, "high": high}) == f"ratio 1{told}"


def test_a_module_that_cannot_be_imported_is_told(project: Project) -> None:
    project.recorded().write("test_broken.py", "1 / 0")
    project.run("--claims-report", "out", "--continue-on-collection-errors")
    (problem,) = project.report()["problems"]
    assert (problem["test"], problem["text"]) == ("test_broken.py", "ZeroDivisionError: division by zero")


def test_what_was_skipped_is_told(project: Project) -> None:
    project.write("test_order.py", ORDER.replace('{"quick": 16}', '{"quick": 2, "full": 3}'))
    project.monkeypatch.setattr("labcheck.engine.environment.has_device", lambda device: device == "cpu")
    project.run("test_order.py", "--claims-report", "out")
    ((reason, tests),) = ((found["reason"], found["tests"]) for found in project.report()["skipped"])
    assert (reason.partition(",")[0], tests) == ("no GPU was found", 3)


@pytest.mark.parametrize(
    ("options", "command"),
    [
        ([], "pytest test_top.py -m 'not gpu'"),
        (
            ["--claims-seeds", "3", "--claims-device", "cpu", "--claims-set", "toy.loud=true"],
            "pytest test_top.py -m 'not gpu' --claims-seeds 3 --claims-device cpu --claims-set toy.loud=true",
        ),
    ],
)
def test_a_claim_says_how_to_run_it_again(project: Project, options: list[str], command: str) -> None:
    project.run("test_top.py", "--claims-report", "out", *options)
    (top,) = project.report()["claims"]
    assert top["command"] == command


def test_a_run_without_a_report_draws_nothing(project: Project) -> None:
    told = "'drawing' if 'matplotlib' in sys.modules else 'no pictures'"
    hook = f"import sys\n\ndef pytest_unconfigure():\n    print({told})\n"
    (project.folder / "conftest.py").write_text(f"{WITHOUT_TORCH}\n{hook}")
    assert count_lines(project.run_in_subprocess("-s", "test_top.py"), "no pictures") == 1
    assert count_lines(project.run_in_subprocess("-s", "test_top.py", "--claims-report", "out"), "drawing") == 1


# the page in a browser

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
TOLD = """
document.title = 'broken';
addEventListener('load', () => {
  const select = document.querySelector('select[name=lab]');
  select.value = 'boston';
  select.dispatchEvent(new Event('change', {bubbles: true}));
  for (const each of document.querySelectorAll('details')) each.open = true;
  const shown = document.querySelectorAll('article:not([hidden])').length;
  const {scrollWidth, clientWidth} = document.documentElement;
  document.title = `${shown} shown, ${scrollWidth - clientWidth} too wide`;
});
"""


def title(file: Path) -> str:
    """Of a page once its scripts have run."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    flags += ["--allow-file-access-from-files", f"--user-data-dir={file.parent / 'user'}", "--virtual-time-budget=9000"]
    done = subprocess.run([str(BROWSER), *flags, "--dump-dom", str(file)], capture_output=True, text=True, timeout=120)
    return "".join(re.findall(r"<title>(.*?)</title>", done.stdout))


@pytest.mark.skipif(BROWSER is None, reason="no chromium to look at the page with")
def test_a_page_fits_a_phone_and_filters(real: dict[str, Any], tmp_path: Path) -> None:
    """Within a frame, as a window cannot be as narrow as a phone."""
    (tmp_path / "probe.html").write_text("<!doctype html><title>seen</title>")
    if title(tmp_path / "probe.html") != "seen":
        pytest.skip("chromium shows no files of this folder")
    (tmp_path / "report.html").write_text(page.render(real).replace("</body>", f"<script>{TOLD}</script></body>"))
    told = "const told = () => { document.title = document.querySelector('iframe').contentDocument.title }"
    frame = "<iframe src='report.html' width='360' height='800' onload='setTimeout(told, 500)'></iframe>"
    (tmp_path / "frame.html").write_text(f"<!doctype html><script>{told}</script>{frame}")
    assert title(tmp_path / "frame.html") == "1 shown, 0 too wide"
