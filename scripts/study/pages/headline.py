"""The tables behind the answer: at one step size, each at its best, and on random networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from fdi.analysis import zoo
from fdi.analysis.best import (
    HEADLINE,
    NETWORK,
    OF_ARMS,
    Arm,
    arms_in_words,
    each_at_its_best,
    networks,
)
from fdi.analysis.choice import SETTINGS, STEP
from fdi.analysis.conditions import BASELINE
from fdi.analysis.results import Results
from fdi.analysis.statistics import PERCENT, correct, paired, resampled
from fdi.figures import words
from fdi.figures.catalogue import FIGURES
from fdi.study import searches
from fdi.study.evidence import at_the_start, updates
from fdi.study.predict import area, judged, learning_by_verdict
from pages.tables import difference, markdown, unmeasured, with_interval

ONE = "fluct"


def headline(measured: Results) -> str:
    """Fluctuation-driven against Kaiming weights, a row per network."""
    begun, rows = at_the_start(measured), {}
    of_networks = networks(measured, *HEADLINE)
    newest = max((arm.runs["numerics"].max() for arms in of_networks for arm in arms), default=0)
    for arms in of_networks:
        at = {(arm.init, arm.setting): arm for arm in arms}
        if not {(ONE, "best"), (BASELINE, "best")} <= {*at}:
            continue
        usual, best = at[ONE, "common"], at[ONE, "best"]
        made, asked, short = updates([best.runs, at[BASELINE, "best"].runs], begun)
        older = best.runs["numerics"].iloc[0]
        rows[best.network[1::-1] + best.network[2:]] = {
            "network": name(best.network) + f" (numerics {older:.0f})" * bool(older < newest),
            f"usual step, {usual.values[STEP]:g}": _against(usual, at[BASELINE, "common"]),
            "each at its best": _against(best, at[BASELINE, "best"]),
            "n": f"{best.difference.n if best.difference else 0}",
            "updates": f"{made:,.0f}" + f", too short (of {asked:,})" * short,
        }
    if not rows:
        return unmeasured(FIGURES["best"].COMMAND)
    return markdown(pd.DataFrame([rows[key] for key in sorted(rows)]))


def _against(own: Arm, base: Arm) -> str:
    """Both means, their difference, its interval, and the verdict."""
    means = f"{own.reached.mean:.0f} against {base.reached.mean:.0f}"
    return f"{means}: {difference(own.difference)}" if own.difference else means


def name(network: Sequence[Any]) -> str:
    """A network in some words: fully connected, 3 layers, Randman."""
    dataset, model, layers, *_ = network
    told = words.layers(layers).replace("hidden ", "")
    return f"{words.model_name(model)}, {told}, {words.dataset_name(dataset).partition(' (')[0]}"


def at_their_best(measured: Results) -> str:
    """What each initialization reaches in common and at its best."""
    table = each_at_its_best(measured)
    if table.empty:
        return unmeasured(FIGURES["best"].COMMAND)
    shown = markdown(arms_in_words(table).map(lambda text: text.replace("\n", "<br>")))
    return f"{shown}\n{OF_ARMS[0].upper()}{OF_ARMS[1:]}.\n{_by_family(measured, table)}"


def _by_family(measured: Results, every: pd.DataFrame) -> str:
    """Which verdicts of the headline are others in the larger family of all that was compared."""
    key = [*NETWORK, "init", "setting"]
    among, lines = every.set_index(key), []
    for row in each_at_its_best(measured, *HEADLINE).to_dict("records"):
        other = among.loc[tuple(row[name] for name in key)]
        if row["verdict"] != other["verdict"]:
            where = f"{name([row[of] for of in NETWORK])}, {SETTINGS[row['setting']]}"
            lines.append(f"{where} (p = {row['p']:.2g} there, {other['p']:.2g} here)")
    if not lines:
        return ""
    return (
        f"\nThe family of Holm's method is what one table prints: here {every['p'].notna().sum()} "
        f"comparisons, in the table of the findings those of two initializations at two settings. "
        f"Until that rule was chosen, which was after the data had been seen, that table had the "
        f"verdicts of this one. It differs in {'; '.join(lines)}.\n"
    )


def random_networks(measured: Results) -> str:
    """What the zoo says: its tables, and how to read them."""
    table = zoo.members(measured)
    if table.empty:
        return unmeasured(FIGURES["zoo"].COMMAND)
    tables = {
        "What networks reach": zoo.learning(table),
        "In parts": parts(table, zoo.optimizers(table), table["kind"], datasets(table)),
        "What the probe expected before training, and what was learned": learning_by_verdict(table),
    }
    shown = [f"**{title}**\n\n{markdown(of)}" for title, of in tables.items()]
    notes = "".join(f"* {line[0].upper()}{line[1:]}.\n" for line in zoo.beyond_table(table))
    return "\n".join([*shown, notes, f"{zoo.ROWS}.csv: {table['source'].iloc[0]}\n"])


def parts(table: pd.DataFrame, *by: pd.Series) -> pd.DataFrame:
    """What the networks of each part reach from each initialization, with its lead over Kaiming
    weights and a plain 95 % interval: it describes, and decides nothing. Each of `by` names the
    part of each row of the `table`.
    """
    shared = zoo.common(table)
    return pd.DataFrame(
        {"networks": part, "initialization": words.init(init)}
        | {
            title: _reached(of[of["setting"] == setting], init)
            for setting, title in zoo.SETTINGS.items()
        }
        for column in by
        for part, of in shared.groupby(column)
        for init in zoo.inits(of)
    )


def datasets(table: pd.DataFrame) -> pd.Series:
    """The data set of each network of a zoo in words."""
    named = table["words"].map(
        lambda of: next(w for w in of if w.startswith("dataset=")).partition("=")[2]
    )
    return named.map(lambda of: words.dataset_name(of).partition(" (")[0])


def _reached(of: pd.DataFrame, init: str) -> str:
    """How many networks learn, their mean accuracy, and the lead."""
    own = of[of["init"] == init]
    text = f"{own['learns'].sum()} of {len(own)}, {PERCENT * own['accuracy'].mean():.0f} %"
    if init == BASELINE:
        return text
    wide = PERCENT * of.pivot(index=["zoo", "network"], columns="init", values="accuracy")
    (found,) = resampled((wide[init] - wide[BASELINE]).to_numpy()[:, None])
    return f"{text}: {with_interval(found)}"


def drawn(measured: Results) -> str:
    """What random networks reach from each initialization."""
    table = zoo.members(measured)
    if table.empty:
        return unmeasured(FIGURES["zoo"].COMMAND)
    shown = zoo.learning(table)
    named = shown.assign(init=[words.init(init) for init in shown["init"]])
    return markdown(named.rename(columns={"init": "initialization"}))


def foretold(measured: Results) -> str:
    """What the verdict of the probe on random networks is worth from Kaiming weights and others."""
    known = judged(zoo.members(measured))
    if known.empty:
        return unmeasured(FIGURES["zoo"].COMMAND)
    rows = []
    usual = known["init"] == zoo.BASELINE
    for init, of in (("all", known), (zoo.BASELINE, known[usual]), ("others", known[~usual])):
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


ENOUGH = -3.0  # points below TPE that the interval of a recipe may reach
WORSE = -2.0  # points, by which a network is left worse


def recipes(measured: Results) -> str:
    """What a recipe and other searches for a step reach on random networks that nobody chose, and
    what they cost; differences are paired over networks, and corrected for all of the table.
    """
    table = measured.csv("recipe_zoo")
    if table.empty:
        return unmeasured(searches.COMMAND)
    page = searches.data(measured)[""][0].sort_values("cost", kind="stable")
    accuracies, keys = _by_network(table), page[["start", "search"]].to_numpy()
    pairs = [
        None if search == "TPE" else paired(accuracies[start][search], accuracies[start]["TPE"])
        for start, search in keys
    ]
    rows: dict[str, dict[str, Any]] = {}
    for row, of in zip(page.to_dict("records"), correct(pairs, [0] * len(pairs))):
        search, before = row["search"], words.init(row["start"])
        rows.setdefault(search, {"search": searches.SEARCHES[search]}).update(
            {
                f"{before}: trainings": f"{row['cost']:.1f}",
                f"{before}: accuracy (%)": f"{row['mean']:.1f}",
                f"{before}: learn": f"{row['learn']} of {row['networks']}",
                f"{before}: minus Optuna": difference(of) if of else "-",
            }
        )
    every_row = markdown(pd.DataFrame([*rows.values()]))
    corrected = "Intervals and verdicts by Holm's method over all differences of the table"
    return f"{every_row}\n{corrected}; recipe_zoo.csv: {table['source'].iloc[0]}\n"


def recipe_verdicts(measured: Results) -> str:
    """Whether a recipe is as good as Optuna, what `experiment=best` reaches more, and what became
    of the networks.
    """
    table = measured.csv("recipe_zoo")
    if table.empty:
        return unmeasured(searches.COMMAND)
    page, notes = searches.data(measured)[""][0].set_index(["start", "search"]), ""
    for start, accuracy in _by_network(table).items():
        gain, mine = accuracy["recipe"] - accuracy["default"], table[table["start"] == start]
        below = paired(accuracy["recipe"], accuracy["TPE"])
        verdict = "as good as" if below.low > ENOUGH else "not shown to be as good as"
        states = mine.loc[mine["search"] == "recipe", "state"].value_counts()
        proven, refuted, none, learned = (
            states.get(state, 0) for state in ("found", "refuted", "not found", "learns")
        )
        notes += (
            f"* From {words.init(start)} weights a recipe is {verdict} Optuna: "
            f"{with_interval(below)} points, where the interval had to lie above {ENOUGH:g}; "
            f"`experiment=best`, at {page.loc[(start, 'best'), 'cost']:.0f} trainings, differs by "
            f"{with_interval(paired(accuracy['best'], accuracy['recipe']))}. Of {len(gain)} "
            f"recipes ({page.loc[(start, 'recipe'), 'median']:.1f} trainings in the median) "
            f"{proven} are proven, {refuted} refuted, {none} found nothing, {learned} not needed; "
            f"networks left more than {-WORSE:g} points worse: {(gain < WORSE).sum()}.\n"
        )
    return notes


def _by_network(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """For each initialization before, the test accuracy (%) by network and search."""
    return {
        str(start): PERCENT * rows.pivot(index="place", columns="search", values="accuracy")
        for start, rows in searches.known(table).groupby("start", sort=False)
    }
