"""What the project is about: job records, lineage, FHiCL, software, bundles. Knows no Flask."""
