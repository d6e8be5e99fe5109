"""Why jobs did not succeed."""
