"""The FHiCL configurations that jobs ran."""
