"""The git checkouts that a job's code lies in."""
