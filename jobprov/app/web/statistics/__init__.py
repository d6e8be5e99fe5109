"""Pages of sums over many jobs."""
