"""The moments of a recording: before, while and after a command, start and end of a job script."""
