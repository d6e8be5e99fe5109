"""Commands for FHiCL and art files."""
