"""Where the bytes lie: a local folder, memory."""
