"""The figure of a sweep, drawn from the node `figure` of an experiment (fdi.config.settings)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import product
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from fdi.analysis.best import DATA
from fdi.analysis.collect import MODULES, Page, Pages, Runs, metric_of
from fdi.analysis.conditions import STATISTICS, accuracies, best, groups, moments
from fdi.analysis.derived import COLUMNS, QUANTITIES, Quantity
from fdi.analysis.formats import shown
from fdi.analysis.results import Results
from fdi.analysis.statistics import PERCENT
from fdi.config import Mistake
from fdi.config.metric import ACCURACY as OF_CLASSES
from fdi.config.own_code import package_folders
from fdi.config.parts import choose
from fdi.config.settings import Figure, check_values
from fdi.figures import marks, sheet, style, sweeps, words
from fdi.figures.sweeps import SIGMA
from fdi.track.files import spared

ANY = "*"  # in `only`: any value but null
LIMIT, LOSS = "trainer.stop_at_loss", "train_loss_last"
PRIMED = "homeostasis.prime_epochs"
CONF = Path(str(files("fdi.conf")))
WRAP = 26  # characters of the label of a vertical axis
RING: style.Look = {"color": "none", "markersize": 7, "zorder": 4, "linestyle": "", "marker": "o"}
RING["clip_on"] = False
SHORT: style.Look = {"linestyle": "", "color": "black", "marker": "x", "markersize": 4, "zorder": 5}


class Panel(NamedTuple):
    """One panel: its name, the rows that it shows, their quantity, and the values of the keys of
    the panels.
    """

    name: str
    rows: pd.DataFrame
    quantity: str
    values: tuple[Any, ...]


class Sweep:
    """The figure of an experiment: what fdi.figures asks of a module, from its node."""

    def __init__(self, figure: Figure, experiment: str = "", command: str = "") -> None:
        self.figure, self.experiment = figure, experiment
        self.PLACE, self.SIZE = figure.place, (style.COLUMN, figure.height)
        over = ", ".join(_quantity(name).title.partition(" (")[0] for name in figure.quantities)
        keys = [figure.x, *([figure.shade] * (figure.shade != SIGMA)), *figure.panels, "init"]
        self.ABOUT = figure.about or f"{over} by {words.several([*map(words.phrase, keys)])}"
        name = experiment.replace("_", " ") or self.ABOUT
        self.TITLE = figure.title or f"{name[0].upper()}{name[1:]}"
        alike = "runs of one data set and model, judged alike,"
        self.NEEDS = figure.needs or f"{alike} with at least {figure.least} values of {figure.x}"
        self.COMMAND = command

    def data(self, results: Results) -> Pages:
        """Page -> a row per quantity and point: quantity, the keys of the panels, init, baseline,
        shade, x, mean, sd, n, low, high; of the accuracy versus and its kin, verdict (against
        kaiming in the same panel at the same x), chosen (has the best validation accuracy of its
        line, where the figure asks for that); reached (share of the runs whose training loss is as
        low as asked); chance (%), finding, network, title.
        """
        pages: Pages = {}
        for name, chosen in self.compared(results):
            table = self._table(chosen)
            page = table.assign(**self._constants(chosen, table))
            pages[name] = page.assign(note=self._note(page)), chosen
        return pages

    def compared(self, results: Results) -> Iterator[tuple[str, pd.DataFrame]]:
        """Page, and the runs that it compares, with their `x` and `shade`."""
        figure, runs = self.figure, self._runs(results.runs)
        named = [figure.x, *figure.panels, figure.shade, figure.longest]
        keys = [key for name in named if name in COLUMNS for key in COLUMNS[name].keys]
        keys += DATA if {*DATA} & {*named} else ()  # a file has a name and a hash
        how = (self._levels, [*filter(None, named), *COLUMNS, *keys])
        for value, part in groups(runs, figure.pages) if figure.pages in runs else [("", runs)]:
            text = shown(value)
            name = self._names(figure.pages).get(text, text.lower())
            for network, group in sweeps.sweeps(part, *how, experiment=self.experiment):
                yield "_".join(filter(None, [*network, name])), self._chosen(group)

    def panels(self, page: Page) -> list[list[str]]:
        """A panel for each quantity and each value of the keys of the panels; of two keys, a row
        for each value of the first.
        """
        page = self._shown(page)
        drawn = self._drawn(page)
        if len(self.figure.panels) < 2:
            wide, names = self._wide(drawn), [panel.name for panel in drawn]
            names += ["."] * (-len(names) % wide)
            return [names[i : i + wide] for i in range(0, len(names), wide)]
        places = {(panel.quantity, *panel.values): panel.name for panel in drawn}
        beside = self._order(self.figure.panels[1], page)
        rows = dict.fromkeys((panel.quantity, panel.values[0]) for panel in drawn)
        return [[places.get((*row, value), ".") for value in beside] for row in rows]

    def draw(self, page: Page, axes: Mapping[str, Axes]) -> None:
        """Marks beside one another where the values of x have names, else lines."""
        named, (_, factor) = self._named(page), words.unit(self.figure.x, page["x"])
        label = words.axis(self.figure.x, page["x"]) * (not named or self.figure.x not in COLUMNS)
        page = page if factor == 1 else page.assign(x=factor * page["x"])
        page = self._shown(page)
        drawn, order = self._drawn(page), self._order("x", page)
        shade, near = self.figure.shade, False
        shaded = page.groupby("init")["shade"].nunique() > 1
        alone = shaded.sum() == 1 and shade != SIGMA  # named by their shade
        initials = list(style.styled_states(page, shade, alone))
        for panel in drawn:
            one, rows = axes[panel.name], panel.rows
            if named:
                called = self._names("x")
                names = [called.get(shown(value), shown(value)) for value in order]
                marks.beside(one, rows, initials, order, names, self._wide(drawn))
            else:
                two = len(panel.values) == 2  # keys: each column of panels has an axis of its own
                column = page[page[self.figure.panels[1]] == panel.values[1]] if two else page
                marks.lines(one, rows, initials, self.figure.scale, column["x"])
                if len(short := rows[rows["reached"] < 1]):
                    one.plot(short["x"], short["mean"], **SHORT)
                for initial in initials:
                    if len(ring := initial.rows(rows[rows["chosen"]])):
                        one.plot(ring["x"], ring["mean"], markeredgecolor=initial.color, **RING)
            near |= self._heights(one, panel, drawn)
            one.set_xlabel(self.figure.label or label)
            self._label(one, panel, drawn)
        looks = [(initial.look(), f"{self.figure.legend}{initial.label}") for initial in initials]
        looks += [(marks.CHANCE, "chance")] * near
        handles = [Line2D([], [], **look, label=label) for look, label in looks]
        for handle in handles[: len(initials) * named]:
            handle.set_linestyle("")
        sheet.head(axes, handles, page)

    def _wide(self, drawn: Sequence[Panel]) -> int:
        """How many panels stand side by side."""
        if len(self.figure.panels) == 2:
            return len({panel.values[1] for panel in drawn})
        return min(self.figure.columns, len(drawn))

    def _shown(self, page: Page) -> Page:
        """What is drawn: the foremost initializations; and where some of the panels have intervals,
        these.
        """
        page = page[page["init"].isin(sweeps.foremost(page["init"]))]
        if not (keys := self.figure.panels):
            return page
        sure = page.groupby(keys)["n"].transform("max") >= words.LEAST
        return page[sure] if sure.any() else page

    def _note(self, page: Page) -> str:
        """How the marks are read, and what is not drawn."""
        every, page = page, self._shown(page)
        few = [words.init(i) for i in every["init"].unique() if i not in {*page["init"]}]
        for key in self.figure.panels:
            few += [words.phrase(key, v) for v in every[key].unique() if v not in {*page[key]}]
        panels = [panel.rows for panel in self._drawn(page) if panel.quantity == "accuracy"]
        points = page[["init", "shade"]].drop_duplicates().shape[0] * len(self._order("x", page))
        lacks = self._named(page) and sum(map(len, panels)) < len(panels) * points
        notes = {
            words.reading(page["n"]): True,
            "ring: the best on validation": page["chosen"].any(),
            "cross: the loss was not reached by all": (page["reached"] < 1).any(),
            "no mark: not run, run at one value only, or weights that fdi refuses to draw": lacks,
            f"not drawn, too many or of too few seeds: {', '.join(few)}": few,
        }
        return "; ".join(note for note, true in notes.items() if true)

    def _names(self, key: str) -> dict[str, str]:
        """What the figure calls the values of a key, in their order."""
        names = self.figure.names.get(self.figure.x if key == "x" else key, {})
        return {shown(value): str(name) for value, name in names.items()}

    def _runs(self, runs: Runs) -> pd.DataFrame:
        """The runs that the figure is of, with the derived columns that it names."""
        figure = self.figure
        names = (figure.x, figure.shade, figure.pages, *figure.panels, *figure.only)
        made = {name: COLUMNS[name].of(runs) for name in names if name in COLUMNS}
        runs = runs.assign(**made)
        if any(key not in runs for key in (figure.x, *figure.panels, *figure.only)):
            return runs.iloc[:0]
        for key, value in figure.only.items():
            accepted = value if isinstance(value, list) else [value]
            runs = runs[runs[key].notna() if value == ANY else runs[key].isin(accepted)]
        for experiment, x in _over().items():  # a figure, or a choice, over the same x
            if x == figure.x and experiment != self.experiment:
                own = sweeps.in_sweep(runs, self.experiment)
                runs = runs[own | ~sweeps.in_sweep(runs, experiment)]
        return runs.dropna(subset=[*figure.panels, *({figure.x} & {*COLUMNS})])

    def _levels(self, group: pd.DataFrame) -> int:
        """How many values of x the runs compare; 0 where no initialization has enough of them, as
        each has its own where it was chosen for it.
        """
        if group[self.figure.x].nunique(dropna=False) < self.figure.least:
            return 0
        chosen = self._chosen(group)
        most = chosen.groupby("init")["x"].nunique().max() if len(chosen) else 0
        return chosen["x"].nunique() if most >= self.figure.least else 0

    def _chosen(self, group: pd.DataFrame) -> pd.DataFrame:
        """The runs of the initializations that are compared, with `x`, `shade` and `sigma_u`."""
        figure, group = self.figure, group.assign(x=self._x(group))
        named = [figure.x, figure.shade, *figure.panels]
        swept = [key for key in named if key.startswith("init.")] * (not figure.usual)
        known = group if figure.x.startswith("init.") else group.dropna(subset="x")
        chosen = sweeps.initial_states(known, *swept) if swept else sweeps.usual(known)
        if figure.x == SIGMA or not swept:
            chosen = chosen.assign(sigma_u=np.nan)
        shade = "sigma_u" if figure.shade == SIGMA else figure.shade
        chosen = chosen.assign(shade=chosen.reindex(columns=[shade])[shade])
        across = chosen[chosen["x"].notna()]
        if figure.longest:
            across = self._longest(across)
        crossed = sweeps.crossed(across, "x", "shade", *figure.panels)
        return pd.concat([crossed, chosen[chosen["x"].isna()]]) if len(crossed) else crossed

    def _x(self, group: pd.DataFrame) -> pd.Series:
        """The values of x; where null is one of them, their names."""
        values, figure = group[self.figure.x], self.figure
        plain = figure.x not in COLUMNS and not figure.x.startswith("init.")
        if plain and figure.scale in ("auto", "names") and values.isna().any() and values.nunique():
            return values.map(shown)
        return values

    def _longest(self, runs: Runs) -> pd.DataFrame:
        """Of each panel the runs with the largest value of a key at which enough are compared."""
        figure = self.figure
        kinds = runs.groupby([*figure.panels, figure.longest])["x"].transform("nunique")
        enough = runs[kinds >= figure.least]
        most = enough.groupby(figure.panels)[figure.longest].transform("max")
        longest = enough[enough[figure.longest] == most]
        return longest.sort_values(figure.panels, kind="stable")

    def _table(self, chosen: pd.DataFrame) -> pd.DataFrame:
        figure = self.figure
        keys = [*figure.panels, "init", "baseline", "shade", "x"]
        parts = []
        for name in figure.quantities:
            if name == "accuracy":
                part = self._accuracies(chosen, keys)
            else:
                quantity = _quantity(name)
                values = chosen.assign(value=quantity.of(chosen).astype(float))
                part = moments(values, keys, "value", most=quantity.most)
            parts.append(part.assign(quantity=name))
        table = pd.concat(parts, ignore_index=True)
        names = dict.fromkeys(["quantity", *table, "versus", "verdict", "chosen"])
        loss, limit = (chosen.reindex(columns=[key])[key].astype(float) for key in (LOSS, LIMIT))
        low = (loss <= limit).astype(float).where(limit.notna())
        reached = chosen.assign(reached=low).groupby(keys, dropna=False)["reached"].mean()
        table = table.reindex(columns=list(names)).merge(reached.reset_index(), on=keys, how="left")
        return table.assign(chosen=table["chosen"].eq(True))

    def _accuracies(self, chosen: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
        """The accuracies; where the figure asks for the best on validation, only these are
        compared.
        """
        figure = self.figure
        across = figure.x.startswith("init.")  # which the baseline lacks, as it lacks the shade
        own = figure.shade == SIGMA or (across and figure.shade.startswith("init."))
        panel = [*figure.panels, *([] if own else ["shade"])]
        every = accuracies(chosen, keys, panel if across else [*panel, "x"])
        if not figure.best:
            return every
        tops = best(chosen, [key for key in keys if key != "x"], "x")
        judged = accuracies(tops, keys, panel).drop(columns=list(STATISTICS))
        return every[[*keys, *STATISTICS]].merge(judged.assign(chosen=True), on=keys, how="left")

    def _constants(self, chosen: pd.DataFrame, table: pd.DataFrame) -> dict[str, Any]:
        """What is the same in all rows of a page, and of a panel the value of `longest`."""
        figure, first, metric = self.figure, chosen.iloc[0], metric_of(chosen)
        visible = self._shown(table)
        said = words.verdicts(visible[visible["quantity"] == "accuracy"], metric)
        best = ", each at its best" * bool(table["chosen"].any())
        answer = f"{words.PAIR}{best}: {said}" * bool(said)
        constants: dict[str, Any] = {
            "chance": PERCENT / first["classes"] if chosen["classes"].nunique() < 2 else np.nan,
            "metric": metric.title,
            "finding": f"{figure.question} {answer}".strip() * bool(answer),
            "network": ", ".join([first["dataset"], *words.cut(chosen), first["model"]]),
            "title": _setting(chosen, [figure.x, figure.shade, *figure.panels]),
        }
        if figure.longest:
            of_panel = chosen.groupby(figure.panels)[figure.longest].transform("first")
            panels = chosen[figure.panels].assign(longest=of_panel).drop_duplicates()
            constants["longest"] = table[figure.panels].merge(panels, how="left")["longest"]
        return constants

    def _named(self, page: Page) -> bool:
        """Whether the values of x stand beside one another by name."""
        if self.figure.scale != "auto":
            return self.figure.scale == "names"
        values = page["x"].dropna()
        return any(isinstance(value, str | bool | np.bool_) for value in values)

    def _order(self, key: str, page: Page) -> list[Any]:
        """The values of a key: those with names first, then as derived, then sorted."""
        there = list(page[key].dropna().unique())
        column = COLUMNS.get(self.figure.x if key == "x" else key)
        names = [*self._names(key), *(column.order if column else ())]

        def rank(value: Any) -> tuple[int, float, str]:
            text, number = shown(value), isinstance(value, int | float | np.number)
            place = names.index(text) if text in names else len(names)
            return place, float(value) if number else np.inf, text

        return sorted(there, key=rank)

    def _drawn(self, page: Page) -> list[Panel]:
        """The panels, in their order."""
        keys, drawn = self.figure.panels, []
        several = page["quantity"].nunique() > 1
        orders = [self._order(key, page) for key in keys]
        for quantity, rows in groups(page, "quantity", sort=False):
            for values in product(*orders):
                members = rows
                for key, value in zip(keys, values):
                    members = members[members[key] == value]
                name = " ".join([*[quantity] * several, *map(shown, values)]) or quantity
                if len(members):
                    drawn.append(Panel(name, members, quantity, values))
        return drawn

    def _heights(self, axes: Axes, panel: Panel, drawn: Sequence[Panel]) -> bool:
        """The range of the vertical axis, the same for panels side by side; whether chance is in
        it.
        """
        rows = panel.rows
        if panel.quantity == "accuracy":
            rows = pd.concat([p.rows for p in drawn if p.quantity == panel.quantity])
            chance = rows["chance"].iloc[0]
            if rows["metric"].iloc[0] != OF_CLASSES.title:
                return False
            marks.percent(axes, rows, chance)
            return bool(axes.get_ylim()[0] <= chance)
        if rows["mean"].min() < rows["mean"].max() / 2:
            marks.from_zero(axes)
        return False

    def _label(self, axes: Axes, panel: Panel, drawn: Sequence[Panel]) -> None:
        """Title of the panel and label of its vertical axis."""
        figure, two = self.figure, len(panel.values) == 2
        head = [
            self._names(key).get(shown(value)) or words.phrase(key, value)
            for key, value in zip(figure.panels, panel.values)
        ]
        if figure.longest:
            head.append(words.phrase(figure.longest, panel.rows["longest"].iloc[0]))
        title = _quantity(panel.quantity).title
        if panel.quantity == "accuracy":
            title = title.replace(OF_CLASSES.title, panel.rows["metric"].iloc[0])
        side = fill(title, WRAP)
        if two:
            head, side = head[1:], f"{fill(head[0], WRAP)}\n{side}"
        if two and panel.values[1] != drawn[0].values[1]:
            axes.set_yticklabels([])
            side = ""
        axes.set_title(", ".join(head) or title)
        first = two or drawn.index(panel) % self._wide(drawn) == 0
        axes.set_ylabel(side if head and first else "")


def of_file(file: Path) -> Figure | None:
    """The node `figure` of the file of an experiment; None where it has none. Raises ValueError,
    one line, for a key or a value that is none.
    """
    try:
        node = OmegaConf.select(OmegaConf.load(file), "figure")
        if node is None:
            return None
        schema = OmegaConf.structured(Figure)
        values: Any = OmegaConf.to_container(OmegaConf.merge(OmegaConf.to_container(schema), node))
        check_values(Figure, values, "figure.")
        figure: Any = OmegaConf.to_object(OmegaConf.merge(schema, node))
    except (OmegaConfBaseException, YAMLError, OSError, ValueError) as error:
        raise Mistake(f"{file}: {' '.join(str(error).split())}") from None
    return figure


def _quantity(name: str) -> Quantity:
    """One of QUANTITIES, or a column of the run table."""

    def column(runs: Runs) -> pd.Series:
        if name not in runs:
            known = choose(name, [*QUANTITIES, *map(str, runs)])
            raise Mistake(f"figure.quantities: {name} is no quantity; {known}")
        return runs[name]

    return QUANTITIES.get(name) or Quantity(name, column)


def _setting(runs: Runs, axes: Sequence[str]) -> str:
    """What was trained, for how long and how, without what the `axes` say."""
    runs = runs.assign(**runs.reindex(columns=[LIMIT, PRIMED]))
    until = words.between(runs[LIMIT], "trained to a loss of")
    epochs = "trainer.epochs" * (runs["trainer.epochs"].nunique() == 1 and not until)
    setting = words.heading(runs, epochs)
    if (runs[PRIMED] > 0).any():
        setting = setting.replace("epochs", "epochs of the task")
    return ", ".join(filter(None, [setting, until, words.condition(runs, axes)]))


def experiments(folders: Sequence[Path] = (CONF,)) -> dict[str, Sweep]:
    """The figures that experiments in these folders of configs describe, by name; those of fdi by
    default; a line for a node that is wrong.
    """
    sweeps: dict[str, Sweep] = {}
    for file in (f for folder in folders for f in sorted(folder.glob("experiment/*.yaml"))):
        figure = None
        with spared(f"the figure of {file}"):
            figure = of_file(file)
        if figure:
            folder = file.parents[1]
            found_anyway = (CONF, *package_folders())
            where = "" if folder in found_anyway else f"--config-dir {folder} "
            command = f"fdi-run -m {where}experiment={file.stem}"
            sweeps.setdefault(file.stem, Sweep(figure, file.stem, command))
    return sweeps


@cache
def _over() -> dict[str, str]:
    """The experiments of fdi, and the key whose values each compares, or chooses among."""
    nodes = {file.stem: OmegaConf.load(file) for file in CONF.glob("experiment/*.yaml")}
    keys = ("figure.x", "tune.key")
    found = {name: [OmegaConf.select(node, key) for key in keys] for name, node in nodes.items()}
    return {name: next(filter(None, both), "") for name, both in found.items()}


def folders_named(runs: Runs) -> list[Path]:
    """The folders with the user's own code and configs that the runs name, and those with the
    configs of installed packages.
    """
    named = runs.reindex(columns=[MODULES])[MODULES].dropna().unique()
    own = dict.fromkeys(Path(folder) for text in named for folder in json.loads(text))
    return [*own, *package_folders()]
