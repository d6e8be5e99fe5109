"""Talk to a jobprov service from Python: the same calls as the HTTP interface, with typed errors."""

from jobprov.provenance.client.client import Client

__all__ = ["Client"]
