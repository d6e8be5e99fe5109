"""Git on the service: mirrors, ref -> commit -> tree, pins, canonical packs."""
