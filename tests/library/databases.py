"""On which databases a test runs."""

import pytest

on_sqlite_alone = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For cases that differ in what they are refused for or run, and not in a statement to the database.

Other tests of the same use case run on both databases.
"""
