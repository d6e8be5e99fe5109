"""The service that commands ask."""

from jobprov.app.commands.terminal.opening import settings_with
from jobprov.provenance.client import Client


def client_for(url: str | None) -> Client:
    """Return a client of the service at `url`, or of the settings'."""
    settings = settings_with(url=url)
    return Client(settings.url, settings.token or None)
