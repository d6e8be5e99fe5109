"""Commands that send records, and that say who may."""
