"""Calls about reruns of recorded jobs."""
