"""Answers about reruns: what they proved, and what they need."""
