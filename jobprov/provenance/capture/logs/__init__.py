"""What the logs of a job tell: why it failed, its seeds, its events, the times of its inputs."""
