"""Who may read and write: wrong tokens, clients of catalogs, requests from this machine itself."""
