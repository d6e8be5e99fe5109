"""Commands for lineage."""
