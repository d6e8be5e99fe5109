"""What many jobs did together: over time, by site and release, and what they took."""
