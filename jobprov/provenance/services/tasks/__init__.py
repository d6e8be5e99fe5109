"""Tasks and their units: declared, done, missing, waived."""
