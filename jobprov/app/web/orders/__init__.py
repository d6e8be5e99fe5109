"""Pages of workflows and retries."""
