"""Which files a command touched, as strace sees it."""
