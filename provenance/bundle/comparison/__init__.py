"""How outputs of a rerun are compared; most of it is shipped in the bundle as `verify.py`."""
