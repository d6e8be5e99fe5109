"""HTTP in, HTTP out: the Flask service and the `jobprov` command. No SQL here."""
