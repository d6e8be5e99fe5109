"""The ledger's entries, where they lie, and the ends of the chains."""
