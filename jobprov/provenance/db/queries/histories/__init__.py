"""Lineage: walks, neighbourhoods, costs, impact."""
