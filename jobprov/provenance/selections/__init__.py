"""Selections of files in the languages of the field's catalogs: SAM's dimensions and MetaCat's MQL.

Both are read into one tree of conditions (`conditions.py`), whose fields have our names
(`fields.py`). What becomes of a tree is not said here: `db/queries/selections` makes SQL of it.
"""
