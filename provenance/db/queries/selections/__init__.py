"""Selections of files as SQL, and what catalog clients are told of the files."""
