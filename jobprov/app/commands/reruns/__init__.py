"""Commands for drills and capsules."""
