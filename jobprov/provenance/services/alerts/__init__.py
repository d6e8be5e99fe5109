"""Alerts: checks the rules of experiments, and sends a message when an alert begins and ends."""
