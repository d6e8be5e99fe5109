"""The service that commands ask, and the token that they send."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from jobprov.app.commands.terminal.opening import json_option, settings_with, url_option
from jobprov.app.config import Settings
from jobprov.provenance.client import Client
from jobprov.provenance.client.transport import read_token_file


def asks_service(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--url` and `--json`; the command gets a `client` of the service in place of `url`."""

    @url_option
    @json_option
    @wraps(command)
    def ask(*, url: str | None, **given: Any) -> None:
        command(client=client_for(url), **given)

    return ask


def client_for(url: str | None) -> Client:
    """Return a client of the service at `url`, or of the settings'."""
    return client_of(settings_with(url=url))


def client_of(settings: Settings) -> Client:
    """Return a client of the settings' service."""
    return Client(settings.url, settings.token or None, token_file=settings.token_file)


def token_of(settings: Settings) -> str | None:
    """Return the current token; None if no token is set.

    Raises:
        BadInputError: its file cannot be read.
    """
    if settings.token_file is not None:
        return read_token_file(settings.token_file)
    return settings.token or None
