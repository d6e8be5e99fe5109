"""What `python -m benchmarks` measures, one part a module."""
