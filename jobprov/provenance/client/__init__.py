"""Talk to a jobprov service from Python: the calls of its HTTP interface, with typed errors."""

from jobprov.provenance.client.client import Client

__all__ = ["Client"]
