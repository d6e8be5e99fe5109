"""Tests; `tests.library` has what they share."""
