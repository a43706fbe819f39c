"""One module per figure: `ABOUT`, `COMMAND` that makes its data, `data(runs)` -> pages, `panels(page)`, and `draw(page, axes)`."""
