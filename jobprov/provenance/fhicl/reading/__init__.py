"""From fcl files to an evaluated configuration."""
