"""The ledger: entries, sealed segments, their chains, and the jobs that entries make together."""
