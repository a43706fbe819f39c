"""The documentation: the tutorial runs, its links lead somewhere, and the README is short."""

from __future__ import annotations

import importlib
import re
import shlex
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SMALL = ["dataset.classes=2", "dataset.samples=200", "trainer.batch_size=20", "threads=1"]


def call(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A console command, in this process; those that train do so with little."""
    name, *arguments = shlex.split(line)
    if name == "fdi-run":
        arguments = [re.sub(r"epochs=\d+", "epochs=5", argument) for argument in arguments]
        arguments = [argument.replace("range(3)", "range(2)") for argument in arguments] + SMALL
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    main = importlib.import_module(f"fdi.cli.{name.removeprefix('fdi-')}").main
    try:
        code = main()
    except SystemExit as stop:
        code = stop.code
    assert not code, line


def test_the_tutorial_runs_as_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for language, code in FENCE.findall((DOCS / "tutorial.md").read_text()):
        if language == "sh":
            for line in code.splitlines():
                call(line, monkeypatch)
        else:
            exec(compile(code, "tutorial.md", "exec"), {})
    assert (tmp_path / "my-figure.png").stat().st_size > 10_000
    assert len(list(tmp_path.glob("results/runs/randman/dense/*/seed=*/metrics.csv"))) == 4


def test_the_search_runs_as_written(tmp_path, monkeypatch):
    pytest.importorskip("optuna", "4")
    monkeypatch.chdir(tmp_path)
    ((_, code),) = FENCE.findall((DOCS / "howto" / "search.md").read_text())
    small = ", ".join(map(repr, ["trainer.epochs=2", *SMALL]))
    code = code.replace('"trainer.epochs=20"', small).replace("n_trials=10", "n_trials=3")
    exec(compile(code, "search.md", "exec"), {})
    assert len(list(tmp_path.glob("results/runs/randman/dense/fluct/seed=*/metrics.csv"))) == 3


def _typed() -> list[str]:
    """The commands that train, of all pages, but for those that need a cluster or files of one's
    own.
    """
    text = "\n".join(page.read_text(encoding="utf-8").replace("\\\n", "") for page in PAGES)
    lines = dict.fromkeys(re.findall(r"^(?: {4})?(fdi-run [^\n|]*)", text, re.MULTILINE))
    return [line for line in lines if not re.search(r"launcher=|--config-dir|\.\.\.", line)]


@pytest.mark.parametrize(
    "among",
    [slice(0, None, 5), pytest.param(slice(None), marks=pytest.mark.slow)],
    ids=["some", "all"],
)
def test_every_command_on_a_page_is_one(tmp_path, monkeypatch, among):
    from fdi.cli.cells import compose_cells
    from fdi.cli.run import parse

    monkeypatch.chdir(tmp_path)
    typed = _typed()
    assert len(typed) > 20
    for line in typed[among]:
        words = shlex.split(line, comments=True)[1:]
        arguments = parse([*words, "engine=cpu"])
        cells = compose_cells(arguments)
        scheduler = cells[0].values["scheduler"] if "scheduler=" in line else {"_target_": True}
        assert scheduler["_target_"], line


def test_every_promise_names_tests_that_there_are():
    rows = (ROOT / "tests" / "README.md").read_text(encoding="utf-8").splitlines()
    promises = [row for row in rows if row.startswith("| ") and not row.startswith("| promise")]
    assert len(promises) > 15
    for promise in promises:
        named = re.findall(r"`(tests/[\w/]+\.py)`", promise)
        assert named, promise
        assert all((ROOT / name).is_file() for name in named), promise


def _links(page: Path) -> list[str]:
    """The places that a page links to, outside of its code."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_that_are_there_and_those_of_the_site_stay_within_it(page):
    places = [(page.parent / link).resolve() for link in _links(page) if "://" not in link]
    assert [place for place in places if not place.exists()] == []
    if page.is_relative_to(DOCS):
        assert [place for place in places if not place.is_relative_to(DOCS)] == []


def test_fences_open_with_a_language_alone():
    """What the site does not read as the start of a block stands there as text."""
    for page in PAGES:
        opened = re.findall(r"^ *```(\S.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert [word for word in opened if not re.fullmatch(r"\w+", word)] == [], page


def test_the_readme_is_short():
    page = (ROOT / "README.md").read_text()
    text = re.sub(r"<!-- table.*?<!-- end -->", "", page, flags=re.DOTALL)
    assert len(text.split()) < 1200


def test_every_page_is_in_the_navigation_or_linked_from_another():
    listed = set(re.findall(r'"([\w/-]+\.md)"', (ROOT / "zensical.toml").read_text()))
    pages = {*DOCS.rglob("*.md")}
    assert {DOCS / name for name in listed} <= pages
    linked = {(page.parent / link).resolve() for page in pages for link in _links(page)}
    assert pages - linked <= {DOCS / name for name in listed}


def test_lines_of_code_end_within_what_a_page_shows():
    """At a width of 1,280 px; what a program printed may scroll."""
    wide = re.compile(r"^(?! {4}).{89,}$|^ {4}.{89,}$", re.MULTILINE)
    for page in (ROOT / "README.md", *DOCS.glob("*.md"), *DOCS.glob("howto/*.md")):
        text = page.read_text(encoding="utf-8")
        typed = [code for language, code in FENCE.findall(text) if language != "text"]
        typed += re.findall(r"(?:^\n|\A)((?: {4}.*\n)+)", FENCE.sub("", text), re.MULTILINE)
        assert [line for code in typed for line in wide.findall(code)] == [], page


def _reached(dotted: str) -> Any:
    """The module, or what a module has under this name."""
    try:
        return importlib.import_module(dotted)
    except ModuleNotFoundError:
        module, _, name = dotted.rpartition(".")
        return getattr(importlib.import_module(module), name)


def test_the_reference_has_all_that_users_are_told_of():
    """The names of fdi's packages, and those that a how-to names or an example imports."""
    entries = re.findall(r"^::: (\S+)$", (DOCS / "reference" / "api.md").read_text(), re.MULTILINE)
    assert len(entries) == len({*entries})
    shown = [_reached(entry) for entry in entries]
    rooms = ("fdi", "fdi.data", "fdi.figures", "fdi.init", "fdi.interop", "fdi.testing")
    named = {f"{room}.{name}" for room in rooms for name in importlib.import_module(room).__all__}
    pages = [*(DOCS / "howto").glob("*.md"), *(ROOT / "examples").rglob("*.py")]
    imported = re.compile(r"^ *from (fdi[\w.]*) import ([\w, ]+)$", re.MULTILINE)
    for text in (page.read_text() for page in pages):
        named |= {*re.findall(r"`(fdi\.[\w.]+\w)", text)}
        named |= {
            f"{m}.{name}" for m, names in imported.findall(text) for name in names.split(", ")
        }
    assert {"fdi.recipe", "fdi.snn.objective.Loss", "fdi.engine.Engine"} <= named
    reached = {name: _reached(name) for name in named - {*rooms}}
    homes = {name: sys.modules.get(getattr(of, "__module__", "")) for name, of in reached.items()}
    assert [n for n, of in reached.items() if of not in shown and homes[n] not in shown] == []


@pytest.mark.slow
def test_the_site_builds(tmp_path, monkeypatch):
    pytest.importorskip("zensical")
    pytest.importorskip("mkdocstrings")
    import subprocess

    site, settings = ROOT / "site", (ROOT / "zensical.toml").read_text()
    assert 'site_dir = "site"' in settings
    found = subprocess.run(
        [sys.executable, "-m", "zensical", "build"], cwd=ROOT, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout
    api = (ROOT / "site" / "reference" / "api.html").read_text()
    assert "fluctuation_driven_normal_" in api
    assert "<math" in (ROOT / "site" / "theory.html").read_text()
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    assert dead_links(site, pages) == []


class _Page(HTMLParser):
    """Where the parts of a page lead, and the places in it that others may lead to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.append(value)
            elif name in ("id", "name") and value:
                self.places.add(value)


def dead_links(site: Path, pages: dict[Path, _Page]) -> list[str]:
    """Those of a page within the site that lead to no file, or to no place on its page."""
    dead = []
    for path, page in pages.items():
        for link in page.links:
            file, _, place = unquote(link).partition("#")
            if path.name == "404.html" or re.match(r"[a-z]+:|//", link):
                continue
            target = (path.parent / file).resolve() if file else path
            target = target / "index.html" if target.is_dir() else target
            known = pages.get(target)
            lost = place and known and place not in known.places and place != "__top"
            if not target.exists() or lost:
                dead.append(f"{path.relative_to(site)}: {link}")
    return dead


def test_a_picture_is_described_alike_wherever_it_stands():
    """But where a page has it for its own finding."""
    found: dict[str, set[str]] = {}
    for page in (ROOT / "README.md", DOCS / "index.md"):
        for text, place in re.findall(r"!\[([^\]]*)\]\(([^)]+\.png)\)", page.read_text()):
            found.setdefault(Path(place).name, set()).add(text)
    assert found
    assert {name: texts for name, texts in found.items() if len(texts) > 1} == {}
