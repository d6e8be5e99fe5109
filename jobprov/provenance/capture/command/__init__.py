"""A job's command before it runs: what its arguments name, its scripts and its fcl."""
