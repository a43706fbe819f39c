"""A figure of one's own: the accuracy of every run. From a folder with results/:

fdi-figures seeds --modules PATH/examples/own
"""

from __future__ import annotations

ABOUT = "test accuracy of every run, by initialization"
NEEDS = "finished runs"
COMMAND = "fdi-run -m init=kaiming,fluct 'seed=range(3)'"
SIZE = (3.4, 2.4)  # inches: width, and height of a row of panels


def data(results):
    """Pages by name, here one without: a table and the runs it shows; none if nothing is there."""
    done = results.runs[results.runs["state"] == "done"]
    return {"": (done[["init", "test_accuracy_last"]], done)} if len(done) else {}


def panels(page):
    """The names of the panels, row by row."""
    return [["accuracy"]]


def draw(page, axes):
    """Fill the panels."""
    axes["accuracy"].plot(page["init"], 100 * page["test_accuracy_last"], "o")
    axes["accuracy"].set_title("test accuracy (%)")
