"""Which configurations have which parameters."""
