"""Answers about orders, retries and workflows."""
