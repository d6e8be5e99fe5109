"""Commands for sums over many jobs."""
