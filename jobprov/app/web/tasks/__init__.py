"""Pages of campaigns, tasks and samples."""
