"""The files of a run: where they are, who may write them, what state they are in."""
