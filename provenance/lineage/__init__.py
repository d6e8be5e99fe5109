"""Graphs of files and jobs: view graph, layout, drawings, exports. Knows no database."""
