"""Real servers on loopback: ours, and those that ours talks to."""
