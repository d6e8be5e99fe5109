"""The code in a bundle: what ran, as plain trees (`src/`) and as git repositories (`git/`)."""
