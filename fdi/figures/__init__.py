"""One module per figure, which says all there is to know of it; `draw` returns one of them.

`TITLE`: its heading in the report, `PLACE`: where it stands there. `ABOUT`: what it shows. `NEEDS`,
`COMMAND`: the data it needs and what makes them. `SIZE`: width, and height of a row of panels, in
inches.
`data(results)` -> pages, by name ("" for the only one), each a tidy table and the runs that are
drawn on it, see `collect.Pages`; none where the data are missing. `contents` is what hands runs to
figures, and says of each page where its runs come from and which of them it leaves out.
`panels(page)` -> the layout. `draw(page, axes)`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from fdi.figures.sheet import Page

__all__ = ["draw"]


def draw(
    name: str = "",
    runs: str | Path | pd.DataFrame = "results",
    page: str | None = None,
    *,
    x: str = "",
    hue: str = "",
    panels: Sequence[str] = (),
) -> Page:
    """The matplotlib Figure `name` of the runs: one of those that `fdi-figures --list` shows; or
    that of a sweep over the key `x`.

        fdi.figures.draw("learning_curves", fdi.sweep(init=["kaiming", "fluct"], seed=range(3)))
        fdi.figures.draw(runs=fdi.results(), x="init.sigma_u", hue="neuron.tau_syn")

    `runs`: rows of `fdi.results` or `fdi.sweep`, or a folder of results, whose reference/ is drawn
    where its own runs are not enough. `page`: which, for a figure that has several, by data set and
    model as in the names of the files that `fdi-figures` writes; the first unless given. `hue`: a
    key with a line for each value, beside the colours of initializations; `panels`: at most two
    keys with a panel for each value; where neither is given, the keys that were swept along with
    `x`. Raises ValueError for a name, a key or a page that does not exist, and where the runs are
    not enough.
    """
    from fdi.analysis.results import of_folder, of_runs, own
    from fdi.config import Mistake
    from fdi.config.parts import choose
    from fdi.figures.catalogue import figure, figure_named, over, pages, with_own

    if bool(name) == bool(x) or (name and (hue or panels)):
        raise Mistake("give the name of a figure, or the key x of a sweep with its hue and panels")
    if isinstance(runs, str | Path):
        mine, measured = own(Path(runs)), of_folder(Path(runs) / "reference")
    else:
        mine, measured = of_runs(runs, Path("results")), None
    module = over(mine.runs, x, hue, panels) if x else figure_named(name, mine.runs)
    if module is None:
        raise Mistake(f"no figure {name}; {choose(name, with_own(mine.runs))}")
    contents = pages(module, mine, measured)
    if not contents:
        raise Mistake(f"{name or x} needs {module.NEEDS}: {module.COMMAND}")
    if page is not None and page not in contents:
        raise Mistake(f"{name or x} has no page {page}; {choose(page, contents)}")
    return figure(module, contents[next(iter(contents)) if page is None else page])
