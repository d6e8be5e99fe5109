"""Calls for rules of triage."""
