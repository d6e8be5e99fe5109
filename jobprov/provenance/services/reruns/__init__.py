"""Bundles run again: drills, verdicts, capsules."""
