"""Pages of one job, file or log, lists of jobs, and search."""
