"""Gaps: what would stop a rerun in ten years, what closes it, and the level that follows."""
