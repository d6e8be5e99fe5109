"""Pages of errors and rules of triage."""
