"""Graphs of files and jobs: view graph, layout, drawings, exports. Knows no database.

`graph` holds the values, `folding` and `quotient` make fewer boxes of many nodes, `svg` draws them
(`layout`, `rows`, `sheet`, `captions`, `pencil` and `marks` are its parts), `text`, `dot` and
`prov_json` write them down, and `words` has the first line of the page.
"""
