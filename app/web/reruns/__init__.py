"""Pages about reruns of recorded jobs."""
