"""Capsules and verdicts of reruns."""
