"""`fdi-figures` as a user types it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from PIL import Image

from fdi.analysis.summary import tex
from fdi.cli.figures import main
from fdi.figures import catalogue, sheet
from fdi.figures.catalogue import FIGURES, pages_of
from fdi.study.measured import read_export

OWN = Path(__file__).parents[2] / "examples" / "own"


@pytest.fixture
def figures(tmp_path, capsys):
    def call(*words: str) -> tuple[int, str, str]:
        code = main([*words, "--results", str(tmp_path), "--out", str(tmp_path / "out")])
        return code, *capsys.readouterr()

    return call


@pytest.fixture(scope="module")
def measured():
    return read_export(Path(__file__).parents[2] / "results" / "reference")


def test_equal_runs_give_equal_files(write_run, tmp_path, figures):
    write_run("fluct", 0, [0.1, 0.3, 0.5])
    figures()
    first = [file.read_bytes() for file in sorted((tmp_path / "out").iterdir())]
    figures("learning_curves")
    assert first == [file.read_bytes() for file in sorted((tmp_path / "out").iterdir())]


def test_it_says_its_files_whose_names_have_no_odd_characters(write_run, tmp_path, figures):
    write_run("fluct", 0, [0.1], model="my model")
    code, out, _ = figures()
    name = "learning_curves_randman_my-model"
    files = [tmp_path / "out" / f"{name}.{kind}" for kind in ("pdf", "png")]
    assert (code, out.splitlines()[:2]) == (0, [str(file) for file in files])
    assert files[0].read_bytes().startswith(b"%PDF")
    assert files[1].read_bytes().startswith(b"\x89PNG")


def test_a_figure_for_a_paper_has_its_caption_beside_it(write_run, tmp_path, figures):
    for init in ("kaiming", "fluct_$5"):
        for seed in range(3):
            write_run(init, seed, [0.1, 0.3, 0.5], sigma_u=0.5)
    code, out, _ = figures("--paper", "learning_curves")
    files = {Path(line).suffix: Path(line) for line in out.splitlines()}
    assert (code, set(files)) == (0, {".pdf", ".png", ".txt", ".tex"})
    with Image.open(files[".png"]) as image:
        assert image.width / image.info["dpi"][0] * 25.4 == pytest.approx(180, abs=0.3)
    text = files[".txt"].read_text()
    assert text.startswith("Learning curves. Randman, ")
    assert text.endswith("data: own runs.\n")
    latex = files[".tex"].read_text()
    assert "\\includegraphics[width=180mm]{learning_curves_randman_dense.pdf}" in latex
    assert "95 \\% interval" in latex
    assert sheet.caption_text(r"by $\sigma_U$ of \$5_a", tex) == r"by $\sigma_U$ of \$5\_a"
    assert sheet.caption_text(r"by $\sigma_U$ of \$5_a") == "by sigma_U of $5_a"


@pytest.mark.parametrize("name", ["zoo", "depth", "in_training", "floor"])
def test_in_a_paper_the_panels_stand_alone_with_a_legend_where_nothing_is(name, measured):
    """No caption in the image, text of 7 to 9 pt, and as wide as a column or two."""
    content = next(iter(pages_of(FIGURES[name], measured).values()))
    figure = catalogue.figure(FIGURES[name], content, paper=True)
    figure.draw_without_rendering()
    assert round(25.4 * figure.get_figwidth()) == figure.paper in (85, 180)
    assert (figure.get_suptitle(), figure.get_supxlabel()) == ("", "")
    assert figure.caption.startswith(f"{FIGURES[name].TITLE}. ")
    shown = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert {7 <= float(text.get_fontsize()) <= 9 for text in shown} == {True}
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
    for panel in figure.axes:
        for line in panel.lines:
            path = line.get_path().transformed(line.get_transform())
            assert not any(box.contains(x, y) for x, y in np.asarray(path.vertices))
            joined = line.get_linestyle() != "None"
            assert not (joined and path.intersects_bbox(box, filled=False))


def test_a_legend_hides_no_part_of_a_matrix():
    """White in a matrix says that there are none, in a panel of lines that there is room."""
    figure, axes = sheet.page([["matrix", "lines"]], paper=True)
    axes["matrix"].imshow(np.zeros((4, 4)), cmap="Greys")
    entries = axes["lines"].plot(np.tile([0, 1], 200), label="full")
    sheet.above(figure, entries, "")
    sheet.around(figure, pd.DataFrame({"source": ["none"]}), "A matrix")
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert not legend.get_window_extent().overlaps(axes["matrix"].bbox)


def test_missing_data_is_listed_with_its_command(write_run, figures):
    write_run("fluct", 0, [0.1], done=False)
    code, out, _ = figures()
    assert code == 1
    assert (
        "not drawn: learning_curves needs finished runs that do better than guessing: "
        "fdi-run -m init=kaiming,fluct 'seed=range(3)'" in out
    )


def test_list(figures):
    code, out, _ = figures("--list")
    assert code == 0
    assert out.startswith("zoo: ")
    assert len(out.splitlines()) == 2 * len(FIGURES)
    assert "  needs runs of " in out


def test_what_there_is_is_drawn_and_a_line_says_of_the_rest(write_run, figures):
    write_run("fluct", 0, [0.9])
    code, out, _ = figures("--own")
    assert code == 0
    assert "not drawn" not in out
    assert out.splitlines()[-1].endswith(
        " other figures need other runs; fdi-figures --list says which"
    )


def test_a_figure_of_ones_own_is_in_a_folder(figures, write_run, tmp_path, caplog):
    for seed in range(2):
        write_run("fluct", seed, [0.1, 0.2])
    code, out, _ = figures("seeds", "--modules", str(OWN))
    assert code == 0
    assert Path(out.splitlines()[0]).name == "seeds.pdf"
    (tmp_path / "half.py").write_text("ABOUT = 'nothing'\n")
    assert figures("half", "--modules", str(tmp_path))[0] == 1
    assert "half.py is no figure: it lacks NEEDS, COMMAND, SIZE, data, panels, draw;" in caplog.text
    assert figures("seeds")[0] == 1


def test_a_folder_that_cannot_be_written_is_one_line(write_run, tmp_path, figures):
    write_run("fluct", 0, [0.1])
    (tmp_path / "out").write_text("in the way")
    code, _, err = figures()
    assert code == 1
    assert err.count("\n") == 1
