"""`fdi-data` as a user types it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from fdi.cli.data import main
from fdi.data.download import SOURCES
from fdi.figures import picture


def _run(capsys, *words: str | Path) -> tuple[Any, str, str]:
    try:
        code: Any = main([str(word) for word in words])
    except SystemExit as end:  # of argparse
        code = end.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_list_says_what_is_here(capsys, tmp_path: Path):
    (tmp_path / "hdf5").mkdir()
    (tmp_path / "hdf5" / "train.h5").touch()
    code, out, _ = _run(capsys, "list", "--data", tmp_path)
    here = {line.split()[0]: " yes " in line for line in out.splitlines()[2:]}
    assert code == 0
    assert set(here) == set(SOURCES)
    assert here["randman"]
    assert here["hdf5"]
    assert not here["shd"]
    assert "CC BY-SA 4.0" in out


def test_every_yaml_is_listed():
    folder = files("fdi.conf") / "dataset"
    names = {
        path.name.removesuffix(".yaml") for path in folder.iterdir() if path.name.endswith(".yaml")
    }
    assert names == set(SOURCES)
    for name in names:
        settings = OmegaConf.to_container(OmegaConf.load(str(folder / f"{name}.yaml")))
        assert isinstance(settings, dict)
        assert "root" in settings or not SOURCES[name].archives


def test_units_are_whole_and_a_sample_is_as_long_as_its_trial():
    from matplotlib.figure import Figure

    panel = Figure().subplots()
    spikes = np.zeros((60, 12))
    spikes[10, 3] = 1
    picture._draw_sample(panel, spikes, 2.0 * np.arange(60), spikes=True)
    assert all(float(tick).is_integer() for tick in panel.get_yticks())
    assert panel.get_xlim() == (-1, 119)


def test_show_draws_a_picture(capsys, digits_folder: Path, tmp_path: Path):
    out = tmp_path / "figures" / "toy.png"
    code, text, _ = _run(
        capsys, "show", "hdf5", "--root", digits_folder, "--out", out, "duration=0.1", "valid=0.25"
    )
    assert code == 0
    assert (
        f"{digits_folder.name}: 15 / 5 / 4 samples, 2 classes, input 6, 50 steps of 2 ms, nu "
        in text
    )
    assert out.read_bytes().startswith(b"\x89PNG")
    for name, *settings in (
        ["digits"],
        ["digits", "encoding=poisson"],
        ["poisson", "shape=[2,6,6]"],
        ["dataset=randman", "samples=50", "dataset.units=10"],
    ):
        assert _run(capsys, "show", name, *settings, "--out", out)[0] == 0


def test_a_set_that_is_known_by_its_file_is_shown_and_not_looked_for(capsys, tmp_path: Path):
    header = "@classLabel true a b\n@data\n"
    (tmp_path / "Ramp_TRAIN.ts").write_text(header + "0,1,2:a\n2,1,0:b\n" * 4)
    (tmp_path / "Ramp_TEST.ts").write_text(header + "0,1,2:a\n2,1,0:b\n")
    for coding, words in (("delta", "input 2, 250 steps"), ("current", "input 1, 250 steps")):
        words_given = (f"file={tmp_path}/Ramp_TRAIN.ts", f"coding={coding}", "valid=0.25")
        code, out, err = _run(capsys, "show", "ts", *words_given, "--out", tmp_path / "ts.png")
        assert (code, err) == (0, "")
        assert out.startswith("Ramp: 6 / 2 / 2 samples, 2 classes, ")
        assert words in out


def test_get(capsys, tmp_path: Path, monkeypatch):
    assert _run(capsys, "get", "randman")[:2] == (0, "randman: nothing to download\n")
    (tmp_path / "shd_train.h5.zip").write_bytes(b"half of it")
    code, _, err = _run(capsys, "get", "shd", "--root", tmp_path)
    assert code == 2
    assert err.startswith(f"fdi-data: shd: {tmp_path}/shd_train.h5.zip has md5 ")
    assert err.endswith("; delete it and get it again\n")
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["shd_train.h5.zip"]


def test_settings_of_the_yaml_are_used(capsys, tmp_path: Path):
    words = ("randman", "samples=30", "seed=3", "--out", tmp_path / "a.png")
    code, out, _ = _run(capsys, "show", *words)
    assert code == 0
    assert out.startswith("randman: 240 / 30 / 30 samples, 10 classes, input 20, 100 steps of 2 ms")
