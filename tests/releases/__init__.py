"""What each release wrote, and what every later version does with it."""
