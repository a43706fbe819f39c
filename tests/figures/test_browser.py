"""The report in a browser, by keyboard, on a small screen, with a thousand runs: where there is a
Chromium and playwright.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from fdi.analysis.results import own
from fdi.figures.report import html

playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
]
RUNS = 1000


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    import making

    folder = tmp_path_factory.mktemp("report")
    for seed in range(RUNS // 2):
        for init, accuracy in (("kaiming", 0.3), ("fluct", 0.5)):
            curve = [0.1, accuracy + seed / 10_000]
            config = {"trainer.epochs": 2}
            given: dict[str, Any] = {"config": config, "rates": {"h1": 8.0}, "curve": curve}
            making.write_run(folder, init, seed, curve[-1], **given)
    (folder / "report.html").write_text(html(own(folder), own(folder)), encoding="utf-8")
    return folder / "report.html"


@pytest.fixture(params=[(1280, "light"), (390, "light"), (390, "dark")])
def page(request, report):
    """The report, with what the console complains of."""
    width, scheme = request.param
    with playwright.sync_playwright() as start:
        browser = start.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        complaints: list[str] = []
        tab.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.goto(report.as_uri())
        tab.wait_for_selector("tbody tr")
        yield tab
        browser.close()
        assert not complaints


ACTIVE = "() => document.activeElement.outerHTML.slice(0, 200)"


def test_a_keyboard_reaches_everything_and_leaves_it(page):
    """Tab goes through all that can be reached, no element twice, and back with Shift."""
    stops = "() => [...document.querySelectorAll('a[href], input, button, summary, th[tabindex]')]"
    count = page.evaluate(f"{stops.replace('() => ', '')}.filter(e => e.checkVisibility()).length")
    assert count > 5
    seen = []
    for _ in range(min(count, 60)):
        page.keyboard.press("Tab")
        seen.append(page.evaluate_handle("() => document.activeElement"))
    same = page.evaluate("elements => new Set(elements).size", seen)
    assert same == len(seen), "the focus stays or goes in a circle"
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("([a]) => document.activeElement === a", [seen[-2]])


@pytest.mark.parametrize("key", ["Enter", " "])
def test_a_table_is_sorted_without_a_pointer(page, key):
    head = page.locator("th", has_text="init").first
    head.focus()
    first = page.locator("tbody tr").first
    before = first.inner_text()
    page.keyboard.press(key)
    assert head.get_attribute("aria-sort") == "ascending"
    page.keyboard.press(key)
    assert head.get_attribute("aria-sort") == "descending"
    assert first.inner_text() != before
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    assert not page.evaluate("([a]) => document.activeElement === a", [head.element_handle()])


def test_the_page_does_not_scroll_sideways_and_words_can_be_read(page):
    wide = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0
    colours = page.evaluate(
        """() => [...document.querySelectorAll('p, h1, h2, td, th, a, summary')]
        .filter(e => e.checkVisibility() && e.innerText.trim()).slice(0, 400).map(e => {
            const behind = x => getComputedStyle(x).backgroundColor;
            let under = e;
            while (under && behind(under) === 'rgba(0, 0, 0, 0)') under = under.parentElement;
            const back = under ? behind(under) : 'rgb(255, 255, 255)';
            return [getComputedStyle(e).color, back, e.innerText.slice(0, 40)];
        })"""
    )
    assert colours
    for colour, behind, text in colours:
        assert contrast(colour, behind) >= 4.5, (colour, behind, text)


def test_a_thousand_runs_are_there_within_a_second(page):
    page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length")
    paint = page.evaluate(
        "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"
    )
    assert paint < 1000


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2.1 between two colours "rgb(r, g, b)"."""

    def light(colour: str) -> float:
        parts = [float(part) / 255 for part in colour[4:].strip("()a").split(",")[:3]]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dark = sorted((light(one), light(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)
