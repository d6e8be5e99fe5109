"""The rerun bundle: plan, canonical tar, run and verify scripts, comparison."""
