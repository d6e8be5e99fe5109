"""What catalogs said of tasks."""
