"""Capsules, comparators and verdicts of reruns, and jobs that are bundled together."""
