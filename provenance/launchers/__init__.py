"""Where jobs run: this machine behind a Protocol, and what HTCondor says of the jobs that it ran."""
