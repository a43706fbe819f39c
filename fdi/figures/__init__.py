"""One module per figure, which says all there is to know of it.

`TITLE`: its heading in the report, `PLACE`: where it stands there. `ABOUT`: what it shows. `NEEDS`,
`COMMAND`: the data it needs and what makes them. `SIZE`: width, and height of a row of panels, in
inches.
`data(results)` -> pages, by name ("" for the only one), each a tidy table with a column `source`;
none where the data are missing.
`panels(page)` -> the layout. `draw(page, axes)`.
"""
