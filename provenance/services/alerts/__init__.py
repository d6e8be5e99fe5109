"""Alerts: rules of experiments looked at, what they find told once, and told again when over."""
