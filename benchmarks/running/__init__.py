"""How services, databases and clients of benchmarks are started."""
