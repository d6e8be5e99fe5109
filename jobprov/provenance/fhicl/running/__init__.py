"""What art makes of a configuration before the job runs: command line, additions, pruning."""
