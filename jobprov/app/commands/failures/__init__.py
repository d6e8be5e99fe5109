"""Commands for errors and rules of triage."""
