"""HTTP in, HTTP out: the Flask service and the `jobprov` command. No SQL here."""

from collections.abc import Mapping

TYPE_CHECKING = False  # `typing` is slow to import, and the command line comes by here first

if TYPE_CHECKING:
    from flask import Flask


def create_app(settings: Mapping[str, str] | None = None) -> "Flask":
    """Return the service; here, so that `flask --app app` finds it.

    The factory is imported when this is called: the pages and the API meet only there.
    """
    from jobprov.app.factory import create_app as build  # noqa: PLC0415

    return build(settings)
