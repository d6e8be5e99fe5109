"""OpenLineage events as job records."""
