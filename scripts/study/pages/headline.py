"""The tables behind the answer: at one step size, each at its best, and on random networks."""

from __future__ import annotations

import pandas as pd

from fdi.analysis import zoo
from fdi.analysis.best import HEADLINE, NETWORK, OF_SIDES, each_at_its_best, sides_in_words
from fdi.analysis.choice import SETTINGS, STEP
from fdi.analysis.conditions import BASELINE
from fdi.analysis.results import Results
from fdi.analysis.statistics import PERCENT, paired, verdict
from fdi.figures import words
from fdi.figures.catalogue import FIGURES
from fdi.study.predict import area, judged, verdicts
from pages.tables import difference, markdown, unmeasured

ONE = "fluct"
ORDER = ["model", "dataset", "layers"]


def headline(measured: Results) -> str:
    """Fluctuation-driven against Kaiming weights, a row per network."""
    table = each_at_its_best(measured, *HEADLINE)
    if table.empty:
        return unmeasured(FIGURES["best"].COMMAND)
    rows = []
    for _, of in table.groupby([*ORDER, *NETWORK], dropna=False):
        sides = {(row["init"], row["setting"]): row for row in of.to_dict("records")}
        if (ONE, "best") in sides and (BASELINE, "best") in sides:
            usual, best = sides[ONE, "common"], sides[ONE, "best"]
            older = best["numerics"] < table["numerics"].max()
            rows.append(
                {
                    "network": name(best) + f" (numerics {best['numerics']:.0f})" * bool(older),
                    f"usual step, {usual[STEP]:g}": _against(usual, sides[BASELINE, "common"]),
                    "each at its best": _against(best, sides[BASELINE, "best"]),
                    "n": f"{best['pairs']:.0f}",
                }
            )
    return markdown(pd.DataFrame(rows))


def _against(own: dict, base: dict) -> str:
    """Both means, their difference, its interval, and the verdict."""
    return (
        f"{own['mean']:.0f} against {base['mean']:.0f}: {own['difference']:+.1f} "
        f"({own['from']:+.1f}..{own['to']:+.1f}), {own['verdict']}"
    )


def name(row: dict) -> str:
    """A network in some words: fully connected, 3 layers, Randman."""
    layers = words.layers(row["layers"]).replace("hidden ", "")
    return f"{words.kind(row['model'])}, {layers}, {words.data(row['dataset']).partition(' (')[0]}"


def at_their_best(measured: Results) -> str:
    """What each initial state reaches in common and at its best."""
    table = each_at_its_best(measured)
    if table.empty:
        return unmeasured(FIGURES["best"].COMMAND)
    shown = markdown(sides_in_words(table).map(lambda text: text.replace("\n", "<br>")))
    return f"{shown}\n{OF_SIDES[0].upper()}{OF_SIDES[1:]}.\n{_by_family(measured, table)}"


def _by_family(measured: Results, every: pd.DataFrame) -> str:
    """Which verdicts of the headline are others in the larger family of all that was compared."""
    key = [*NETWORK, "init", "setting"]
    among, lines = every.set_index(key), []
    for row in each_at_its_best(measured, *HEADLINE).to_dict("records"):
        other = among.loc[tuple(row[name] for name in key)]
        if row["verdict"] != other["verdict"]:
            where = f"{name(row)}, {SETTINGS[row['setting']]}"
            lines.append(f"{where} (p = {row['p']:.2g} there, {other['p']:.2g} here)")
    if not lines:
        return ""
    return (
        f"\nThe family of Holm's method is what one table prints: here {every['p'].notna().sum()} "
        f"comparisons, in the table of the findings those of two initial states at two settings. "
        f"Until that rule was chosen, which was after the data had been seen, that table had the "
        f"verdicts of this one. It differs in {'; '.join(lines)}.\n"
    )


def random_networks(measured: Results) -> str:
    """What the zoo says: its tables, and how to read them."""
    table = zoo.members(measured)
    if table.empty:
        return unmeasured(FIGURES["zoo"].COMMAND)
    drawn_with = table["words"].astype(str).str.extract(r"optimizer=(\w+)")[0]
    kinds = table.assign(optimizer=drawn_with.fillna("smorms3"))
    tables = {
        "Networks that learn": zoo.learning(table),
        "By kind of network, with the mean accuracy of what could be drawn": _parted(kinds, "kind"),
        "By optimizer, with the same": _parted(kinds, "optimizer"),
        "What the probe expected before training, and what was learned": verdicts(table),
    }
    parts = [f"**{title}**\n\n{markdown(shown)}" for title, shown in tables.items()]
    notes = "".join(f"* {line[0].upper()}{line[1:]}.\n" for line in zoo.said(table))
    return "\n".join([*parts, notes, f"{zoo.ROWS}.csv: {table['source'].iloc[0]}\n"])


def _parted(table: pd.DataFrame, by: str) -> pd.DataFrame:
    """How many networks of each part learn from each initial state, and their mean accuracy."""
    rows = []
    for (part, init), of in table.groupby([by, "init"]):
        row = {by: part, "init": init}
        for setting, title in zoo.SETTINGS.items():
            those = of[of["setting"] == setting]
            mean = PERCENT * those["accuracy"].mean()
            row[title] = f"{those['learns'].sum()} of {len(those)}, {mean:.0f} %"
        rows.append(row)
    return pd.DataFrame(rows)


def drawn(measured: Results) -> str:
    """How many random networks learn from which of the two, in a row per setting."""
    table = zoo.members(measured)
    if table.empty:
        return unmeasured(FIGURES["zoo"].COMMAND)
    rows = []
    for setting, title in zoo.SETTINGS.items():
        own, base = zoo.paired(table[table["setting"] == setting], ONE)
        mine, other, p = zoo.decided(table, setting)[ONE, BASELINE]
        rows.append(
            {
                "step size": title,
                "networks": len(own),
                "learn from fluctuation-driven weights": own.sum(),
                "from Kaiming weights": base.sum(),
                "only from the former, only from the latter": f"{mine}, {other}: "
                f"{verdict(mine - other, p)} (p = {p:.2g})",
            }
        )
    return markdown(pd.DataFrame(rows))


def foretold(measured: Results) -> str:
    """What the verdict of the probe on random networks is worth, for each initial state."""
    known = judged(zoo.members(measured))
    if known.empty:
        return unmeasured(FIGURES["zoo"].COMMAND)
    rows = []
    for init, of in [("all", known), *known.groupby("init", sort=False)]:
        fails, no = ~of["learns"].astype(bool), of["expected"] == "no"
        right = int((fails & no).sum())
        rows.append(
            {
                "from": init,
                '"no" is right (precision)': f"{right} of {no.sum()}",
                "failures that it names (sensitivity)": f"{right} of {fails.sum()}",
                "area under the curve": f"{area(of):.2f}",
            }
        )
    return markdown(pd.DataFrame(rows))


BESIDE = {
    "default": "the default step",
    "constant": "one step for each optimizer",
    "best": "the best of `experiment=best`",
}
"""Column of recipe_zoo.csv -> what a recipe stands beside."""


def recipes(measured: Results) -> str:
    """What a recipe is worth on random networks that nobody chose: paired differences over them."""
    table = measured.csv("recipe_zoo")
    if table.empty:
        return unmeasured("python scripts/study/recipe_zoo.py")
    rows = []
    for column, title in BESIDE.items():
        both = table.dropna(subset=[column])
        if both.empty:
            continue
        found = paired(PERCENT * both["recipe"], PERCENT * both[column])
        rows.append(
            {
                "beside": title,
                "networks": found.n,
                "mean accuracy (%)": f"{PERCENT * both[column].mean():.1f}",
                "after the recipe (%)": f"{PERCENT * both['recipe'].mean():.1f}",
                "difference": f"{difference(found)} (p = {found.p:.2g})",
            }
        )
    cost, states = table["cost"], table["state"].value_counts()
    learn, found, guess, none = (
        states.get(state, 0) for state in ("learns", "found", "past guessing", "not found")
    )
    notes = (
        f"* A recipe cost {cost.mean():.1f} whole trainings ({cost.min():.1f} to {cost.max():.1f}, "
        f"median {cost.median():.1f}), and two for its proof.\n"
        f"* Of {len(table)} networks {learn} learn as they are, and {found} with a change, or two "
        f"together; in {guess} nothing that was tried gets far beyond guessing, in {none} beyond "
        "it at all.\n"
    )
    return f"{markdown(pd.DataFrame(rows))}\n{notes}\nrecipe_zoo.csv: {table['source'].iloc[0]}\n"
