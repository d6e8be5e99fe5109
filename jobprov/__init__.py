"""jobprov: provenance and reproducibility of batch jobs."""
