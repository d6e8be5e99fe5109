"""A finished record on its way to the service: spooled, delivered, or carried home."""
