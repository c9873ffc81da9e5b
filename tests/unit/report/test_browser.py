"""The page in a browser: filter, keyboard, small screens, colors, print and accessibility.

Without Chromium these tests are skipped, or fail if the environment variable LABCHECK_REQUIRE_CHROMIUM is set.
"""

import os
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from labcheck.report import page
from tests.helpers.browser import CHROMIUM, REQUIRED, Browser
from tests.helpers.report import TIMES

pytestmark = pytest.mark.slow

FOCUS = """
(() => {
  const element = document.activeElement, box = element.getBoundingClientRect(), style = getComputedStyle(element);
  return {
    tag: element.tagName,
    index: [...document.querySelectorAll(FOCUSABLE)].indexOf(element),
    outlined: element.matches(':focus-visible') && style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
    visible: box.width > 0 && box.left >= 0 && box.right <= innerWidth && box.bottom > 0 && box.top < innerHeight,
  };
})()
"""
FOCUSABLE = "a[href], select, summary, [tabindex='0']"
OPEN_ALL = "document.querySelectorAll('details').forEach((element) => (element.open = true))"
CONTRASTS = """
(() => {
  const context = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = (color) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = color;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([red, green, blue]) => {
    const [r, g, b] = [red, green, blue].map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (element) => {
    for (; element; element = element.parentElement) {
      const color = rgba(getComputedStyle(element).backgroundColor);
      if (color[3] === 255) return color;
      if (color[3] !== 0) throw new Error('a translucent background');
    }
    return rgba('white');
  };
  const contrast = (color, element) => {
    const [one, two] = [luminance(rgba(color)), luminance(background(element))];
    return (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
  };
  const texts = [], lines = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement;
    if (!text || element.closest('script, style') || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    texts.push([contrast(element.ownerSVGElement ? style.fill : style.color, element), text]);
  }
  for (const element of document.querySelectorAll('figure path, .legend path, .share .estimate')) {
    const {stroke, strokeOpacity} = getComputedStyle(element);
    if (stroke !== 'none' && strokeOpacity === '1') lines.push([contrast(stroke, element), element.outerHTML]);
  }
  return {texts, lines};
})()
"""


def require_browser() -> None:
    """Skip the test without Chromium, or fail if it is required."""
    if CHROMIUM is None:
        message = "no Chromium is installed"
        pytest.fail(f"{message}, and {REQUIRED} is set") if os.environ.get(REQUIRED) else pytest.skip(message)


@pytest.fixture(scope="module")
def _browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    require_browser()
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def file(real: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of a report with each verdict, a problem, a skipped test and a doubted fit."""
    report = {
        **real,
        "problems": [
            {"claim": "boston/small", "scale": "quick", "test": "arm[tame-quick]", "kind": "drift", "text": "moved"},
            {"claim": None, "scale": None, "test": "test_x.py", "kind": "error", "text": "ZeroDivisionError"},
        ],
        "skipped": [{"reason": "no GPU", "tests": 3}],
        "fits": [
            {"lab": "sine", "scale": "quick", "data": "drawn", "numbers": 6, "inside": 1, "doubted": True},
        ],
        "claims": [
            claim | {"verdict": verdict, "missing": [] if verdict else ["arm x"]}
            for claim, verdict in zip(
                real["claims"], ["NOT_REPRODUCED", "REPRODUCED", "INCONCLUSIVE", "INCONCLUSIVE", None], strict=True
            )
        ],
        "times": TIMES,
    }
    return page.write(report, tmp_path_factory.mktemp("page"))


@pytest.fixture
def browser(_browser: Browser, file: Path) -> Browser:
    """Return a browser that shows the page in a wide window, in light mode."""
    _browser.open(file)
    return _browser


def choose(browser: Browser, name: str, value: str) -> None:
    """Choose an option of a filter, as a user does."""
    browser.evaluate(
        f"(() => {{ const select = document.querySelector('select[name={name}]'); select.value = {value!r};"
        "select.dispatchEvent(new Event('change', {bubbles: true})); })()"
    )


def shown_claims(browser: Browser) -> list[str]:
    """Return the headings of the visible claims."""
    script = "[...document.querySelectorAll('article h2')].filter((one) => one.checkVisibility()).map((one) => one.id)"
    return [str(name).partition("-small")[0] for name in browser.evaluate(script)]


# filter


@pytest.mark.parametrize(
    ("filters", "claims"),
    [
        ({}, ["boston", "curve", "fashion", "sine", "trig"]),
        ({"lab": "boston"}, ["boston"]),
        ({"verdict": "REPRODUCED"}, ["curve"]),
        ({"verdict": "INCONCLUSIVE"}, ["fashion", "sine"]),
        ({"verdict": "none"}, ["trig"]),
        ({"verdict": "INCONCLUSIVE", "lab": "sine"}, ["sine"]),
        ({"verdict": "NOT_REPRODUCED", "lab": "sine"}, []),
    ],
)
def test_filter_shows_matching_claims(browser: Browser, filters: dict[str, str], claims: list[str]) -> None:
    for name, value in filters.items():
        choose(browser, name, value)
    assert shown_claims(browser) == claims
    listed = (
        "[...document.querySelectorAll('nav li')].filter((one) => one.checkVisibility()).map((one) => one.dataset.lab)"
    )
    assert browser.evaluate(listed) == claims
    status = "document.querySelector('output[aria-live=polite]').textContent"
    assert browser.evaluate(status) == f"showing {len(claims)} of 5 claims"
    for name in filters:
        choose(browser, name, "")
    assert len(shown_claims(browser)) == 5


def test_filter_offers_verdicts_of_report(browser: Browser) -> None:
    texts = "[...document.querySelectorAll('select[name=verdict] option')].map((one) => one.textContent)"
    assert browser.evaluate(texts) == ["all", "REPRODUCED", "INCONCLUSIVE", "NOT_REPRODUCED", "INCOMPLETE"]


# keyboard


def focus(browser: Browser) -> dict[str, Any]:
    """Return what is known about the focused element."""
    state: dict[str, Any] = browser.evaluate(FOCUS.replace("FOCUSABLE", f'"{FOCUSABLE}"'))
    return state


def test_tab_visits_all_controls_in_order_with_outline(browser: Browser) -> None:
    browser.evaluate(OPEN_ALL)
    n = browser.evaluate(f'document.querySelectorAll("{FOCUSABLE}").length')
    assert n > 20
    for index in range(n):
        browser.press("Tab")
        assert focus(browser) == {"tag": focus(browser)["tag"], "index": index, "outlined": True, "visible": True}
    browser.press("Tab", shift=True)
    assert focus(browser)["index"] == n - 2


def test_closed_details_are_no_tab_stops(browser: Browser) -> None:
    visible = f'[...document.querySelectorAll("{FOCUSABLE}")].filter((one) => one.checkVisibility()).length'
    n = browser.evaluate(visible)
    assert n < browser.evaluate(f'document.querySelectorAll("{FOCUSABLE}").length')
    visited = []
    for _ in range(n):
        browser.press("Tab")
        visited.append(focus(browser)["index"])
    assert visited == sorted(set(visited))
    assert -1 not in visited


def test_skip_link_leads_to_claims(browser: Browser) -> None:
    skip = "(() => { const box = document.querySelector('.skip').getBoundingClientRect(); return box.right; })()"
    assert browser.evaluate(skip) < 0
    browser.press("Tab")
    assert browser.evaluate("document.activeElement.textContent") == "Skip to the claims"
    assert focus(browser)["visible"]
    browser.press("Enter")
    assert browser.evaluate("document.activeElement.id") == "claims"
    browser.press("Tab")
    assert browser.evaluate("document.querySelector('main').contains(document.activeElement)")


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_key_opens_and_closes_details(browser: Browser, key: str) -> None:
    browser.evaluate("document.querySelector('.reading summary').focus()")
    for state in (True, False):
        browser.press(key)
        assert browser.evaluate("document.querySelector('.reading').open") is state


def test_filter_works_by_keyboard(browser: Browser) -> None:
    browser.evaluate("document.querySelector('select[name=lab]').focus()")
    browser.press("ArrowDown")
    browser.press("Enter")
    assert browser.evaluate("document.querySelector('select[name=lab]').value") == "boston"
    assert shown_claims(browser) == ["boston"]


# small screens


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_page_does_not_scroll_sideways(browser: Browser, file: Path, width: int) -> None:
    browser.open(file, width=width)
    browser.evaluate(OPEN_ALL)
    assert browser.evaluate("[innerWidth, document.documentElement.scrollWidth]") == [width, width]
    wide = "[...document.querySelectorAll('body *')].filter((one) => one.checkVisibility() && !one.closest('.scroll')"
    wide += f" && one.getBoundingClientRect().right > {width}).map((one) => one.outerHTML.slice(0, 99))"
    assert browser.evaluate(wide) == []


# colors


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_contrast_is_sufficient(browser: Browser, file: Path, dark: bool) -> None:
    browser.open(file, dark=dark)
    browser.evaluate(OPEN_ALL)
    paper = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(20, 23, 27)" if dark else "rgb(255, 255, 255)")
    contrasts = browser.evaluate(CONTRASTS)
    assert len(contrasts["texts"]) > 500
    assert len(contrasts["lines"]) > 20
    assert [text for ratio, text in contrasts["texts"] if ratio < 4.5] == []
    assert [line for ratio, line in contrasts["lines"] if ratio < 3] == []


def test_verdicts_differ_in_more_than_color(browser: Browser) -> None:
    script = "[...new Set([...document.querySelectorAll('nav .badge')].map((one) => "
    script += "getComputedStyle(one, '::before').content.split(' /')[0] + one.textContent))].sort()"
    glyphs = [str(text).replace('"', "") for text in browser.evaluate(script)]
    assert glyphs == ["? INCONCLUSIVE", "… INCOMPLETE", "✓ REPRODUCED", "✗ NOT_REPRODUCED"]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_no_violation(browser: Browser, file: Path, dark: bool, width: int) -> None:
    browser.open(file, width=width, dark=dark)
    browser.evaluate(OPEN_ALL)
    browser.evaluate((files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8") + "; 0")
    result = browser.evaluate(
        "axe.run().then((result) => ({violations: result.violations.map((rule) => "
        "[rule.id, rule.nodes.map((node) => node.html.slice(0, 200))]), passed: result.passes.map((rule) => rule.id)}))"
    )
    assert result["violations"] == []
    assert {"color-contrast", "heading-order", "region", "list", "aria-valid-attr-value"} <= set(result["passed"])


# network and print


def test_page_requests_nothing(browser: Browser) -> None:
    browser.evaluate(OPEN_ALL)
    choose(browser, "lab", "sine")
    browser.print_pdf()
    assert browser.requests == []


def test_requests_of_other_page_are_recorded(browser: Browser, tmp_path: Path) -> None:
    """Otherwise a page without requests would be indistinguishable."""
    (tmp_path / "other.html").write_text("<!doctype html><img src='picture.png'>")
    browser.open(tmp_path / "other.html")
    assert browser.requests == [(tmp_path / "picture.png").as_uri()]


def test_page_cannot_request_anything(browser: Browser) -> None:
    """Its content security policy holds even for text that is not escaped."""
    blocked = "new Promise((done) => { addEventListener('securitypolicyviolation', (event) => done(event.blockedURI));"
    blocked += "document.body.append(Object.assign(new Image(), {src: 'https://example.com/x.png'})); })"
    assert browser.evaluate(blocked) == "https://example.com/x.png"
    assert browser.evaluate("fetch('https://example.com').then(() => 'sent', () => 'blocked')") == "blocked"


def test_printed_page_is_light_and_without_controls(browser: Browser, file: Path) -> None:
    browser.open(file, dark=True)
    browser.emulate("dark", media="print")
    assert browser.evaluate("getComputedStyle(document.body).color") == "rgb(27, 31, 36)"
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    controls = "[...document.querySelectorAll('.filter, .skip')].map((one) => one.checkVisibility())"
    assert browser.evaluate(controls) == [False, False]


def test_printed_page_shows_closed_details(browser: Browser) -> None:
    closed = "document.querySelectorAll('details:not([open])').length"
    assert browser.evaluate(closed) > 5
    browser.emulate(media="print")
    contents = "[...document.querySelectorAll('details:not([open]) > :not(summary)')]"
    assert browser.evaluate(f"{contents}.every((one) => one.checkVisibility())")  # by its style alone
    browser.emulate()
    assert not browser.evaluate(f"{contents}.some((one) => one.checkVisibility())")
    assert browser.print_pdf().startswith(b"%PDF")
    assert browser.evaluate(closed) == 0


# without Chromium


@pytest.mark.parametrize(
    ("value", "outcome"),
    [("", pytest.skip.Exception), ("1", pytest.fail.Exception)],
)
def test_missing_chromium_fails_only_if_required(
    monkeypatch: pytest.MonkeyPatch, value: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setattr("tests.unit.report.test_browser.CHROMIUM", None)
    monkeypatch.setenv(REQUIRED, value)
    with pytest.raises(outcome, match="no Chromium is installed"):
        require_browser()
