"""Answers about tasks, their units, and the jobs that run and wait for them."""
