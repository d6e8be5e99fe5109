"""Where jobs run: this machine behind a Protocol, and what HTCondor says of jobs that it ran."""
