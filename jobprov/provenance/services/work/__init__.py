"""Background work: the leased queue, and the kinds of work in it."""
