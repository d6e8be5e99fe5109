"""Software that records name."""
