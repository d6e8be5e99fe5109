"""Graphs of files and jobs: their folding, drawings and exports. Nothing here knows a database.

`graph` has the types, and `keys` the form of node keys. `flow` and `layers` walk; `folding` and
`quotient` draw many nodes as few boxes. `drawing/` has the pictures and the tree for terminals;
`prov_json` and `openlineage` export. `sentences` and `words` say all this in English.
"""
