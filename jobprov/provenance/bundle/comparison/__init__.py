"""How outputs of a rerun are compared with the recorded ones.

A bundle's verify.py is put together from these modules, apart from `comparators` (see `templates`).
So they use Python 3.6 and the standard library only, and uproot where it is installed.
"""
