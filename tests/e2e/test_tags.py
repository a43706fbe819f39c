"""Tags and a note: of a run, and no part of what it is."""

from __future__ import annotations

from commands import REFERENCE, SMALL
from omegaconf import OmegaConf

GIVEN = (*SMALL, REFERENCE, "probe=none", "trainer.epochs=1")


def test_the_same_command_with_other_tags_changes_those_of_a_finished_run(fdi_run, tmp_path):
    def said():
        (path,) = tmp_path.glob("results/runs/*/*/*/seed=0-*/.hydra/config.yaml")
        config = OmegaConf.load(path)
        return [*config.tags], config.note

    assert fdi_run(*GIVEN, "tags=[draft]").code == 0
    assert said() == (["draft"], None)
    assert "already done" in fdi_run(*GIVEN).out
    assert said() == (["draft"], None), "nothing was said of them"
    found = fdi_run("-m", *GIVEN, "tags=[final]", "note=for the paper")
    assert "1 of 1 finished runs have other tags or another note now" in found.out
    assert said() == (["final"], "for the paper")
    assert "other tags" in fdi_run(*GIVEN, "tags=[]").out
    assert said() == ([], "for the paper")
