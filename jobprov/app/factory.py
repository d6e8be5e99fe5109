"""Makes the Flask application: API, pages, errors, measures and headers, on one wired service."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from jobprov.app.access.private_experiments import with_privacy, without_shared_copies
from jobprov.app.access.rate_limits import register_rate_limits
from jobprov.app.access.sessions import PageSessions
from jobprov.app.access.standby_reading import register_standby, with_standby
from jobprov.app.api import register_api
from jobprov.app.config import Settings, load_settings
from jobprov.app.errors import register_errors
from jobprov.app.measures import register_measures
from jobprov.app.metacat import register_metacat
from jobprov.app.sam import register_sam
from jobprov.app.web import register_pages
from jobprov.app.wiring import Service, open_service

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Application(Flask):
    """Flask, whose views are all plain functions here."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function: in each request Flask would look whether its views are `async`."""
        return func


def create_app(
    settings: Settings | Mapping[str, str] | None = None, *, service: Service | None = None
) -> Flask:
    """Return the application on the settings given, else those of the environment.

    Args:
        settings: read settings, or a mapping of names from the table in `config.py`.
        service: an opened service to work on instead of opening one.

    Raises:
        BadInputError: a setting cannot be used.
        UnreachableError: the database's address is none.
    """
    read = settings if isinstance(settings, Settings) else load_settings(settings)
    app = Application("jobprov.app", static_folder=None, template_folder="templates")
    app.secret_key = read.session_key()
    app.session_interface = PageSessions()
    app.config.update(
        SESSION_COOKIE_SAMESITE="Lax", SESSION_COOKIE_HTTPONLY=True, MAX_FORM_MEMORY_SIZE=1 << 20
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    wired = with_standby(with_privacy(service or open_service(read)))
    app.extensions["jobprov"] = wired
    if read.trusted_proxies:
        count = read.trusted_proxies
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=count, x_proto=count, x_host=count
        )
    register_measures(app)
    register_rate_limits(app)
    register_errors(app)
    register_api(app)
    register_sam(app)
    register_metacat(app)
    register_pages(app)
    app.after_request(without_shared_copies)
    register_standby(app, wired)
    app.wsgi_app = _with_headers(app.wsgi_app)  # type: ignore[assignment, method-assign]
    return app


def _with_headers(app: "WSGIApplication") -> "WSGIApplication":
    """Return the application with the headers that every answer has; those that a view set stay.

    Around Flask instead of inside: there a header costs some microseconds, and recording a job is a
    few hundred.
    """
    added = [(name, value, name.lower()) for name, value in HEADERS.items()]

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], problem: Any = None, /) -> Any:
            given = {name.lower() for name, _ in headers}
            more = [(name, value) for name, value, lower in added if lower not in given]
            return start_response(status, [*headers, *more], problem)

        return app(environ, start)

    return answer
