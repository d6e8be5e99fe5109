"""What needs somebody: of all that is known, on one page."""
