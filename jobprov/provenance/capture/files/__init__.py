"""The files that a job reads and writes: names, sizes, digests and sidecars."""
