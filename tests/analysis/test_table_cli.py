"""`fdi-table` as a user types it."""

from __future__ import annotations

import io
from typing import Any

import pandas as pd
import pytest

from fdi.analysis.conditions import passing
from fdi.analysis.summary import without_formulas
from fdi.cli.table import main
from fdi.track.files import tell


@pytest.fixture
def table(write_run, tmp_path, capsys):
    write_run("fluct", 0, 0.9)
    write_run(
        "fluct",
        1,
        0.8,
        config={"init.sigma_u": 0.5, "model.hidden": [64], "trainer.early": None},
    )
    write_run("kaiming", 0, 0.5, config={"trainer.early": True})

    def call(*words: str) -> tuple[int, str, str]:
        code = main([*words, "--results", str(tmp_path)])
        return code, *capsys.readouterr()

    return call


@pytest.mark.parametrize(
    ("filters", "accuracies"),
    [
        ([], [0.8, 0.9, 0.5]),
        (["init=fluct"], [0.8, 0.9]),
        (["init=fluct,kaiming", "seed=0"], [0.9, 0.5]),
        (["init.sigma_u=0.50"], [0.8]),
        (["init.sigma_u=1"], [0.9]),
        (["model.hidden=[128,128]"], [0.9, 0.5]),
        (["trainer.early=true"], [0.5]),
        (["init.sigma_u=null"], [0.5]),
    ],
)
def test_filters(table, filters, accuracies):
    code, out, _ = table(*filters, "--csv")
    assert code == 0
    assert sorted(pd.read_csv(io.StringIO(out))["accuracy"]) == sorted(accuracies)


def test_a_table_for_a_paper_has_no_row_without_a_finished_run(table, write_run):
    write_run("lsuv", 0, None, state="interrupted", epoch=1)
    assert "lsuv" in table()[1]
    assert "lsuv" not in table("--latex")[1]
    code, _, err = table("--latex", "init=lsuv")
    assert (code, err) == (
        1,
        "fdi-table: none of these runs is finished; fdi-status shows how far they are\n",
    )


def test_tags_and_notes_are_shown_and_filtered(table, write_run):
    write_run("lsuv", 0, 0.7, tags=["draft", "long"], note="Of May")
    write_run("lsuv", 1, 0.6)
    out = table("init=lsuv")[1]
    assert "draft, long" in out
    assert "Of May" in out
    assert "60.0" in table("init=lsuv", "seed=1")[1], "a tag is no condition: both runs are a row"
    assert " 2  65.0" in out
    assert " 1  70.0" in table("tags=long,other")[1]
    assert " 1  70.0" in table("note=may")[1]
    assert table("tags=lon")[2] == "fdi-table: no run has tags=lon\n"


def test_latex(table):
    pytest.importorskip("jinja2")
    text = table("--latex")[1]
    assert text.startswith("\\begin{table}[t]\n\\centering\n\\caption{Test accuracy in percent")
    assert "\\begin{tabular}{ll" in text
    assert r"\toprule" in text
    assert text.endswith("% needs \\usepackage{booktabs}\n")


def test_columns_are_chosen_by_name(table):
    code, out, _ = table("--csv", "--columns", "accuracy,init")
    assert (code, out.splitlines()[0]) == (0, "accuracy,init")
    line = "fdi-table: no column meen; did you mean mean? choose one of "
    assert table("--latex", "--columns", "meen")[2].startswith(line)
    assert table("--columns", "n")[0] == 1


@pytest.fixture
def probed(write_run):
    def write(init, seed, sigma, silent=0.0, epochs=1):
        row: dict[str, Any] = dict.fromkeys(("saturated", "grad_bounds", "upper", "lower"), 0.0)
        row |= {"population": "h1", "neurons": 8, "rate": 7.0, "silent": silent, "grad": 1.0}
        row |= {"free_sigma": sigma, "grad_task": sigma / 1e3, "grad_task_max": sigma / 1e6}
        row |= {"target_sigma_u": None if init == "kaiming" else 1.0}
        readout = dict.fromkeys(row) | {"population": "readout", "grad_task": 1.0}
        write_run(init, seed, 0.5, config={"trainer.epochs": epochs}, probe=[row, readout])

    return write


def test_initial_states_stand_beside_each_other(table, probed, capsys):
    probed("kaiming", 0, 0.1, silent=1.0)
    for seed, sigma in enumerate((1.0, 1.2, 1.7)):
        probed("fluct", seed, sigma, epochs=seed)
    code, out, _ = table("--probe", "init.sigma_u=1,null")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert code == 0
    assert "initial states: randman, dense" in lines
    assert "fluct 3 h1 1.30 1.00 7.0 0.0012 within 1.5 (1/3)" in lines
    assert "kaiming 1 h1 0.10 - 7.0 0.0001 silent" in lines


def test_runs_that_share_an_initial_state_are_one_seed_of_it(table, probed):
    probed("kaiming", 1, 0.1)
    once = table("--probe", "seed=1", "init=kaiming")
    probed("kaiming", 1, 0.1, epochs=2)
    assert table("--probe", "seed=1", "init=kaiming") == once


def test_initial_states_are_a_table_for_a_paper(table, probed):
    pytest.importorskip("jinja2")
    probed("kaiming", 0, 0.01)
    names = "init,layer,sigma_U,gradient,verdict"
    text = table("--probe", "--latex", "--columns", names, "init=kaiming")[1]
    assert r"kaiming & h1 & 0.01 & $1 \times 10^{-5}$ & no target \\" in text
    assert "readout" not in text


def test_no_initial_state_is_one_line(table):
    assert table("--probe")[2].startswith("fdi-table: no initial state of these runs was measured")


@pytest.mark.parametrize("value", ["1e-16", "1.0e-16", "1E-16"])
def test_a_number_of_a_filter_needs_no_point(value):
    runs = pd.DataFrame({"optimizer.eps": [1e-16, 1e-36]})
    assert len(passing(runs, [f"optimizer.eps={value}"])) == 1


def test_an_id_that_looks_like_a_number_is_a_word():
    runs = pd.DataFrame({"id": ["12345678", "1e345678"]})
    assert passing(runs, ["id=12345678"])["id"].tolist() == ["12345678"]


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("datset=randman", "no column datset; did you mean dataset?"),
        ("zzz=1", "no column zzz; it must be a key of the config"),
        ("init=xavier", "no run has init=xavier\n"),
        ("init=flcut", "no run has init=flcut; did you mean fluct?"),
        ("init", "cannot read 'init'; write column=value"),
        ("init=[fluct", "cannot read the value [fluct"),
    ],
)
def test_a_bad_filter_is_one_line(table, word, line):
    code, out, err = table(word)
    assert (code, out) == (1, "")
    assert err.startswith(f"fdi-table: {line}")
    assert err.count("\n") == 1


def test_whole_tables_go_to_files(table, write_run, tmp_path):
    write_run("fluct", 5, 0.7, curve=[0.2, 0.3])
    assert table("init=fluct", "--runs", str(tmp_path / "a.csv"))[:2] == (
        0,
        f"3 rows: {tmp_path / 'a.csv'}\n",
    )
    assert sorted(pd.read_csv(tmp_path / "a.csv")["test_accuracy_last"]) == [0.7, 0.8, 0.9]
    assert table("--curves", str(tmp_path / "b.csv"))[0] == 0
    assert list(pd.read_csv(tmp_path / "b.csv")["epoch"]) == [1, 2]
    assert (
        table("--runs", str(tmp_path / "c.xlsx"))[2]
        == f"fdi-table: {tmp_path / 'c.xlsx'} must end in .csv\n"
    )
    code, _, complaint = table("--runs", str(tmp_path / "a.csv" / "d.csv"))
    assert (code, complaint.count("\n")) == (1, 1)
    assert str(tmp_path / "a.csv") in complaint


def test_a_broken_run_is_a_line_whatever_is_asked(write_run, table, caplog):
    broken = write_run("fluct", 7)
    (broken / "run.json").write_text("{")
    for words in ((), ("--csv",), ("--best",), ("--zoo",)):
        tell.cache_clear()
        caplog.clear()
        _, out, _ = table(*words)
        assert f"{broken} is left out: run.json" in caplog.text
        assert ("4 runs: 3 done, 1 broken" in out) is (not words)


EVIL = {"init.a": r"\input{a}^^5cx", "init.b": "<script>|`*x*`[y](javascript:z)", "init.c": "=1+1"}


@pytest.fixture
def foreign(write_run, table):
    """Runs of somebody whose names and values are no plain words."""
    write_run("=HYPERLINK(1)", 0, 0.5, config=EVIL)
    write_run("=HYPERLINK(1)", 1, 0.5, config=dict.fromkeys(EVIL, "plain"))
    return lambda *words: table(*words, "init==HYPERLINK(1)")[1]


def test_what_a_stranger_wrote_is_text_in_latex(foreign):
    pytest.importorskip("jinja2")
    text = foreign("--latex")
    assert r"\textbackslash{}input\{a\}\textasciicircum{}\textasciicircum{}5cx" in text
    assert r"\textless{}script\textgreater{}\textbar{}`*x*`[y](javascript:z)" in text
    assert "^^" not in text
    assert r"\input" not in text


@pytest.mark.parametrize("words", [("--csv",), ("--runs",)])
def test_what_a_stranger_wrote_is_no_formula_in_csv(foreign, words, tmp_path):
    file = tmp_path / "out.csv"
    out = foreign(*words, *([str(file)] if words == ("--runs",) else []))
    rows = pd.read_csv(file if file.exists() else io.StringIO(out), dtype=str)
    assert set(rows["init"]) == {"'=HYPERLINK(1)"}
    assert not rows.map(lambda cell: str(cell).startswith(("=", "@", "\t"))).any(axis=None)


def test_numbers_and_words_are_as_they_are_in_csv():
    cells = ["-1", "-1e-3", "+0.5", "-inf", 0.1, "a=b", "[1]", "-x", "'=1"]
    safe = ["-1", "-1e-3", "+0.5", "-inf", 0.1, "a=b", "[1]", "'-x", "''=1"]
    for table in (pd.DataFrame({"a": cells}), pd.DataFrame({"a": cells}, dtype="category")):
        assert without_formulas(table)["a"].tolist() == pd.Series(safe).tolist()
