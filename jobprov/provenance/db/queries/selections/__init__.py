"""Selections of files as SQL, and the answers to catalog clients about the files."""
