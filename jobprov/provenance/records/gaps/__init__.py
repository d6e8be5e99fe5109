"""Gaps: what would stop a rerun in ten years, what closes it, and the level that follows.

`gaps` puts the list together, from the modules that are named after what the gaps are about;
`codes` has the table of codes, `findings` what only the service knows.
"""
