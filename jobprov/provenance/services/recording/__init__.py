"""Records of jobs: taken, read, and turned into rows, grades and gaps."""
