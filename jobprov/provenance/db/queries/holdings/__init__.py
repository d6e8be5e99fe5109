"""What is held of blobs and logs: who uses them, what was erased or expired; plans of bundles."""
