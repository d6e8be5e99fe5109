"""Workflows, orders and retries: which jobs are to be submitted."""
