"""A real HTCondor pool, and jobs that die in it in every way."""
