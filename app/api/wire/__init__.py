"""What all calls share."""
