"""What the hook sees by itself, untold: programs that the job started, files read and made."""
