"""`fdi-figures` as a user types it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fdi.cli.figures import main
from fdi.figures.catalogue import FIGURES

OWN = Path(__file__).parents[2] / "examples" / "own"


@pytest.fixture
def figures(tmp_path, capsys):
    def call(*words: str) -> tuple[int, str, str]:
        code = main([*words, "--results", str(tmp_path), "--out", str(tmp_path / "out")])
        return code, *capsys.readouterr()

    return call


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
    assert out.startswith("best: ")
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
