"""The demo production."""
