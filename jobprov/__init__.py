"""jobprov: provenance and reproducibility of batch jobs.

The packages are links to the folders at the top of the repository.
"""
