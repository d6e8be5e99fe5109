"""Calls for orders, retries and workflows."""
