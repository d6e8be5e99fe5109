"""Git on the service: mirrors, refs resolved to commits and trees, pins, canonical packs."""
