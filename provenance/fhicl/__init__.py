"""FHiCL: read, include, evaluate, print and compare configurations as the reference implementation does."""
