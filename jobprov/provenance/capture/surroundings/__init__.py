"""What surrounds a job: batch system, host, container, installed software."""
