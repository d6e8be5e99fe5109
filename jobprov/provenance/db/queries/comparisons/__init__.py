"""Jobs that one would compare."""
