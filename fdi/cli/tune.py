"""A comparison of each side at its best: first a value is chosen for each side on validation, with
seeds of its own and by successive halving; then the sides are compared, at the common value and at
their own, with other seeds. In a zoo each side is an initial state on one of the random networks
that are drawn first.
"""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from hydra.core.override_parser.types import IntervalSweep, Override
from omegaconf import OmegaConf

from fdi.analysis.best import TUNED, Trial, ranking
from fdi.cli.cells import (
    Cell,
    combinations,
    compose_cell,
    compose_sweep,
    composing,
    refuse_unknown,
    together,
    varied,
)
from fdi.cli.compose import fitting, parsed, source
from fdi.cli.cost import estimate
from fdi.cli.summary import print_best, print_zoo
from fdi.cli.sweep import run_sweep
from fdi.track.files import ZOO, write_json
from fdi.track.process import INTERRUPTED
from fdi.track.record import finished, look

TEST = "trainer.test="
Words = tuple[str, ...]


class Candidate(NamedTuple):
    """A value of the key that is chosen, and the words for what is chosen beside it."""

    value: float
    beside: Words

    def words(self, key: str) -> Words:
        return (f"{key}={self.value:g}", *self.beside)


class Round(NamedTuple):
    """Trainings of candidates of each side, by the words of the side."""

    title: str
    cells: dict[tuple[Words, Candidate], list[Cell]]

    @property
    def all(self) -> list[Cell]:
        return [cell for cells in self.cells.values() for cell in cells]


def run_tuned(arguments: Namespace) -> tuple[int, list[Cell]]:
    """Choose, then compare; returns the exit code and the compared cells. The same command goes on
    where it stopped, since each training is a run like any other. With dry_run=true it says what it
    would cost, and there are no cells.
    """
    choice = Choice(arguments)
    first, compared = choice.round(choice.grid(), choice.short), choice.common()
    print(f"{choice.key} for {len(choice.sides)} sides: {choice.cost(first, compared)}", flush=True)
    if choice.dry:
        return 0, []
    best = choice.choose(first)
    if isinstance(best, int):
        return best, []
    named = varied(choice.sides)
    for side, candidate in best.items() if not choice.members else ():
        words = [word for word in side if word.partition("=")[0] in named]
        print(f"chosen: {' '.join([*words, *candidate.words(choice.key)])}", flush=True)
    chosen = choice.chosen(best)
    cells = list({cell.directory: cell for cell in (*compared, *chosen)}.values())
    results = Path(cells[0].values["paths"]["results"])
    code = run_sweep(arguments, cells, names=choice.names)
    if choice.members and code != INTERRUPTED:
        from fdi.analysis.results import own
        from fdi.analysis.zoo import members

        choice.write_zoo(results, {"common": compared, "best": chosen})
        print_zoo(members(own(results)))
    elif not code:
        _show(results, [*choice.trained, *cells])
    return code, cells


def _show(results: Path, cells: Sequence[Cell]) -> None:
    """The table of what was chosen and compared."""
    from fdi.analysis.best import each_at_its_best
    from fdi.analysis.collect import table
    from fdi.analysis.results import of_runs

    paths = dict.fromkeys(str(cell.directory) for cell in cells)
    print_best(each_at_its_best(of_runs(table(results, paths), results)))


class Choice:
    """The choice that the command line `arguments` asks for."""

    def __init__(self, arguments: Namespace) -> None:
        self.arguments = arguments
        config = compose_sweep(arguments)
        tune: Any = OmegaConf.to_container(config.tune)
        self.key, self.values = tune["key"], sorted(tune["values"])
        self.extend, self.short, self.keep = tune["extend"], tune["short"], tune["keep"]
        self.beside = [*product(*(together(*item) for item in tune["beside"].items()))]
        self.epochs, self.dry = config.trainer.epochs, config.dry_run
        words = [tuple(row) for row in combinations(arguments)]
        zoo: Any = OmegaConf.to_container(config.zoo) if config.zoo else None
        self.zoo: dict[str, Any] = zoo or {}
        self.trained: list[Cell] = []
        self.seeds = list(dict.fromkeys(w for row in words for w in row if w.startswith("seed=")))
        self.tuning = [f"seed={seed}" for seed in tune["seeds"]]
        self.members = drawn(self.zoo, arguments.overrides) if self.zoo else []
        states = dict.fromkeys(tuple(w for w in row if not w.startswith("seed=")) for row in words)
        networks: list[Member | None] = [*self.members] or [None]
        self.sides = {
            (*(member.words if member else ()), *state): member
            for member in networks
            for state in states
        }
        self.names: dict[Path, str] | None = {} if zoo else None
        if self.zoo and len(self.seeds) > 1:
            raise ValueError("seed: a zoo has one run of each; zoo.networks draws more networks")
        if same := set(self.seeds) & set(self.tuning):
            raise ValueError(
                f"{min(same)} is a seed of the choice (tune.seeds); compare with other seeds"
            )
        refuse_unknown(arguments, [*self.sides])
        given = {word.partition("=")[0] for side in self.sides for word in side}
        chosen = {self.key, *(w.partition("=")[0] for row in self.beside for ws in row for w in ws)}
        if others := chosen - {*TUNED}:
            raise ValueError(
                f"tune chooses {min(others)}; the comparison knows {', '.join(TUNED)} as what may "
                f"differ between its sides"
            )
        if given & chosen:
            raise ValueError(
                f"{min(given & chosen)} is what is chosen (tune): leave it out, or give tune.values"
            )

    def grid(self) -> dict[Words, list[Candidate]]:
        """All values for each side, beside all others."""
        every = [
            Candidate(value, tuple(word for words in row for word in words))
            for value, row in product(self.values, self.beside)
        ]
        return dict.fromkeys(self.sides, every)

    def round(self, candidates: dict[Words, list[Candidate]], share: int) -> Round:
        """Trainings for 1 / `share` of the epochs."""
        epochs = max(1, self.epochs // share)
        fixed = (f"trainer.epochs={epochs}", f"{TEST}false")
        cells: dict[tuple[Words, Candidate], list[Cell]] = {}
        known: set[Path] = set()
        for side, of in composing([*candidates.items()]):
            own = [word for word in side if not word.startswith(("trainer.epochs=", TEST))]
            for candidate in of:
                words = (*own, *candidate.words(self.key), *fixed)
                these = [self._cell(side, (*words, seed)) for seed in self.tuning]
                place = these[0].directory
                if place not in known:  # keys that the optimizer lacks make no other run
                    known.add(place)
                    cells[side, candidate] = these
        if any(of[0].values["dataset"].get("valid") == 0 for of in cells.values()):
            raise ValueError(
                "dataset.valid = 0: a choice needs a validation split; hold samples out for it"
            )
        return Round(f"{epochs} epoch{'' if epochs == 1 else 's'}", cells)

    def common(self) -> list[Cell]:
        """The comparison at the values that all sides have in common."""
        return self._compared(dict.fromkeys(self.sides, ()))

    def chosen(self, best: dict[Words, Candidate]) -> list[Cell]:
        """The comparison of each side at its best."""
        return self._compared({side: best[side].words(self.key) for side in best})

    def _compared(self, words: dict[Words, Words]) -> list[Cell]:
        return [
            self._cell(side, (*side, *own, seed))
            for side, own in composing([*words.items()])
            for seed in self.seeds
        ]

    def _cell(self, side: Words, words: Words) -> Cell:
        """A cell of a side, without the words for keys that its options lack, named after the
        network that was drawn, if one was.
        """
        begin = source(self.arguments)
        cell = compose_cell(begin, fitting(begin, words))
        if (member := self.sides[side]) and self.names is not None:
            value = _value(cell, self.key)
            name = f"network {member.place} ({member.kind}) {cell.values['name']['init']}"
            self.names[cell.directory] = f"{name} {self.key}={value:g} seed={cell.values['seed']}"
        return cell

    def cost(self, first: Round, compared: list[Cell]) -> str:
        """How many trainings that are, and what they cost."""
        kept = len(self.sides) * self.keep * len(self.tuning) if self.short > 1 else 0
        left = [
            cell
            for cell in (*first.all, *([compared[0]] * (kept + len(compared))), *compared)
            if not finished(cell.directory, "before")
        ]
        return (
            f"{len(first.all)} trainings of {first.title}"
            + (f", {kept} of {self.epochs}" if kept else "")
            + f" and {2 * len(compared)} that are compared; "
            + (estimate(left, self.dry) or "all done")
        )

    def choose(self, first: Round) -> dict[Words, Candidate] | int:
        """The best candidate of each side, or the exit code of a sweep that was interrupted."""
        if code := self._train(rounds := [first], self.short):
            return code
        if self.short == 1:
            return self._best(rounds)
        kept = {
            side: [candidate for candidate, *_ in self._ranking(rounds, side)[: self.keep]]
            for side in self.sides
        }
        if code := self._train(rounds := [self.round(kept, 1)], 1):
            return code
        return self._best(rounds)

    def _best(self, rounds: Sequence[Round]) -> dict[Words, Candidate]:
        found = {side: self._ranking(rounds, side)[0] for side in self.sides}
        self.validated = {side: accuracy for side, (_, _, accuracy) in found.items()}
        return {side: candidate for side, (candidate, *_) in found.items()}

    def _train(self, rounds: list[Round], share: int) -> int:
        """Train the one round, and further ones, added to it, while the best values are at an end;
        returns INTERRUPTED or 0.
        """
        for _ in range(self.extend + 1):
            cells, title = rounds[-1].all, rounds[-1].title
            print(f"choosing {self.key}: {len(cells)} trainings of {title}", flush=True)
            if run_sweep(self.arguments, cells, self.trained, self.names) == INTERRUPTED:
                return INTERRUPTED
            self.trained += cells
            if not (more := self._beyond(rounds)):
                break
            rounds.append(self.round(more, share))
        return 0

    def _beyond(self, rounds: Sequence[Round]) -> dict[Words, list[Candidate]]:
        """For each side whose best value is the first or the last of its values, the next one."""
        more: dict[Words, list[Candidate]] = {}
        for side in self.sides:
            best, _, accuracy = self._ranking(rounds, side)[0]
            if not accuracy:  # all failed, or were refused
                continue
            known = sorted(
                {
                    candidate.value
                    for each in rounds
                    for other, candidate in each.cells
                    if other == side and candidate.beside == best.beside
                }
                | set(self.values)
            )
            factor = self.values[1] / self.values[0] if len(self.values) > 1 else 3.0
            if best.value == known[0]:
                more[side] = [best._replace(value=float(f"{best.value / factor:.2g}"))]
            elif best.value == known[-1]:
                more[side] = [best._replace(value=float(f"{best.value * factor:.2g}"))]
        return more

    def write_zoo(self, results: Path, compared: Mapping[str, Sequence[Cell]]) -> None:
        """results/zoo/seed=<seed>.json: the networks, and which run belongs to which of them, to
        which initial state and setting. A cell that was refused has no run.
        """
        rows = [
            {
                "network": member.place,
                "init": cell.values["name"]["init"],
                "setting": setting,
                self.key: _value(cell, self.key),
                "validated": self.validated[side],
                "run": os.path.relpath(cell.directory, results)
                if cell.directory.exists()
                else None,
            }
            for setting, cells in compared.items()
            for (side, member), cell in zip(self.sides.items(), cells)
            if member
        ]
        path = results / ZOO / f"seed={self.zoo['seed']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        networks = [{"kind": member.kind, "words": member.words} for member in self.members]
        write_json(path, {"zoo": self.zoo, "networks": networks, "runs": rows})

    def _ranking(self, rounds: Sequence[Round], side: Words) -> list[tuple[Any, int, float]]:
        return ranking(
            Trial(
                candidate,
                tuple(value for key in TUNED if (value := _value(cell, key)) is not None),
                cell.values["seed"],
                cell.values["trainer"]["epochs"],
                (look(cell.directory).result or {}).get("valid_accuracy_last"),
            )
            for each in rounds
            for (other, candidate), cells in each.cells.items()
            if other == side
            for cell in cells
        )


def _value(cell: Cell, key: str) -> Any:
    group, _, name = key.partition(".")
    return cell.values[group].get(name)


class Member(NamedTuple):
    """A network of the zoo: its place, its kind, and the words that were drawn for it."""

    place: int
    kind: str
    words: tuple[str, ...]


def drawn(zoo: Mapping[str, Any], given: Sequence[str] = ()) -> list[Member]:
    """The networks of a zoo. What is `given` on the command line, as words, is not drawn, and of
    the kinds those are left that have a given model. Each network has random numbers of its own, so
    that the first ones stay whatever the number of networks. Raises ValueError for what cannot be
    drawn.
    """
    fixed = dict(word.partition("=")[::2] for word in given)
    share_of = {name: _share(name, kind) for name, kind in zoo["kinds"].items()}
    kinds = _with_model(zoo["kinds"], fixed.get("model"))
    shares = np.array([share_of.get(name, 1.0) for name in kinds])
    if not kinds or not shares.sum() > 0:
        raise ValueError("zoo.kinds: give at least one kind a share above 0")
    domains = {name: zoo["draw"] | dict(kind["draw"]) for name, kind in kinds.items()}
    members = []
    for place in range(zoo["networks"]):
        chance = np.random.default_rng([zoo["seed"], place])
        kind = str(chance.choice([*kinds], p=shares / shares.sum()))
        words = [
            word
            for key, values in sorted(domains[kind].items())
            for word in _word(key, str(values), chance)
        ]
        kept = tuple(word for word in words if word.partition("=")[0] not in fixed)
        members.append(Member(place, kind, kept))
    return members


def _with_model(kinds: Mapping[str, Any], model: str | None) -> Mapping[str, Any]:
    """The kinds that draw this model; where none does, one that is named after it."""
    if model is None:
        return kinds
    same = {name: kind for name, kind in kinds.items() if kind["draw"].get("model") == model}
    return same or {model: {"draw": {}}}


def _share(name: str, kind: Any) -> float:
    if not isinstance(kind, Mapping) or set(kind) != {"share", "draw"}:
        raise ValueError(f"zoo.kinds.{name} must have the keys share and draw")
    share = kind["share"]
    if not isinstance(share, int | float) or not 0 <= share < np.inf:
        raise ValueError(f"zoo.kinds.{name}.share = {share} must be a number of at least 0")
    return float(share)


def _word(key: str, values: str, chance: np.random.Generator) -> tuple[str, ...]:
    """One value of `values`, as words; of keys joined by +, one row."""
    if "+" in key:
        rows = together(key, values)
        return rows[chance.integers(len(rows))]
    override = parsed(f"{key}={values}")
    if not override.is_sweep_override():
        return (f"{key}={override.get_value_element_as_str()}",)
    if override.is_discrete_sweep():
        known = [*override.sweep_string_iterator()]
        return (f"{key}={known[chance.integers(len(known))]}",)
    return (f"{key}={_between(override, chance)}",)


def _between(override: Override, chance: np.random.Generator) -> str:
    """A number of the interval, of three digits; a whole one where both ends are."""
    interval: Any = override.value()
    if not isinstance(interval, IntervalSweep):
        raise ValueError(f"zoo: {override.input_line} is neither a sweep nor an interval")
    low, high = interval.start, interval.end
    assert low is not None
    assert high is not None
    whole = isinstance(low, int) and isinstance(high, int)
    if "log" in interval.tags:
        value = float(np.exp(chance.uniform(np.log(low), np.log(high + whole))))
    else:
        value = float(chance.uniform(low, high + whole))
    return str(min(int(value), high)) if whole else f"{value:.3g}"
