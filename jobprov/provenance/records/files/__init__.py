"""The files of a job: which inputs and outputs count, their names, checksums and parents."""
