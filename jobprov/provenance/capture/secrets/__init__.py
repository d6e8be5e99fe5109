"""What keeps secrets out of all that the hook writes or sends."""
