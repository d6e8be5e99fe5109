"""What the hook sees by itself, without being told: programs that the job started, files read and made."""
