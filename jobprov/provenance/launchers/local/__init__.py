"""Jobs launched on this machine."""
