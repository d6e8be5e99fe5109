"""What a rerun needs: the parts of a bundle, one module each."""
