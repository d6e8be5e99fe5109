"""Who looks at a page, where people log in: by the session's cookie, or by a proxy's header."""

import hashlib
import hmac
import logging
import threading
import time
from collections.abc import Mapping
from typing import NamedTuple

from flask import current_app, g, request
from werkzeug.exceptions import Forbidden

from jobprov.app.access.sessions import current_session
from jobprov.app.wiring import Login, get_service
from jobprov.provenance.services.intake.logins import Identity, Proxy, Role, checked_identity
from jobprov.provenance.services.intake.tokens import Grant, Scope, WrongTokenError

FORM_FIELD = "form_token"
_PROXY = "the proxy"
_LOGGED_SECONDS = 60.0
_log = logging.getLogger("jobprov.logins")
_last_logged = {"at": float("-inf")}
_lock = threading.Lock()


class Visitor(NamedTuple):
    """Somebody who is logged in.

    Attributes:
        submitter: what the ledger keeps of who wrote.
        name: what others know them by, which stands for who decided something.
        roles: what they are, by experiment.
        form_token: stands in each form, so that no other site's page can send one.
        has_session: whether they can log out here.
    """

    submitter: str
    name: str
    roles: Mapping[str, Role]
    form_token: str
    has_session: bool

    def is_at_least(self, role: Role, experiment: str | None) -> bool:
        """Return whether they have a role in an experiment, or in any where none is named."""
        if experiment is None:
            return any(own.covers(role) for own in self.roles.values())
        own = self.roles.get(experiment)
        return own is not None and own.covers(role)

    def administered(self) -> list[str]:
        """Return the experiments that they administer."""
        return sorted(name for name, role in self.roles.items() if role is Role.ADMIN)

    def reading_grant(self, experiment: str | None) -> Grant:
        """Return what they may read of an experiment; without a role anywhere, nothing."""
        scopes = {Scope.READ} if self.roles else set()
        own = None if experiment is None else self.roles.get(experiment)
        if own is not None:
            scopes |= own.scopes
        return Grant(experiment or "", self.submitter, scopes=frozenset(scopes), person=self.name)


def is_login_on() -> bool:
    """Return whether people log in here."""
    return get_service().login is not None


def visitor() -> Visitor | None:
    """Return who is logged in; None where nobody is, or nobody can be."""
    login = get_service().login
    if login is None:
        return None
    if "visitor" not in g:
        g.visitor = _find_visitor(login)
    found: Visitor | None = g.visitor
    return found


def check_form() -> None:
    """Refuse a form of somebody who is logged in that was not drawn for them.

    Raises:
        Forbidden: the form's token is missing, or is another's.
    """
    if request.method != "POST":
        return
    sender = visitor()
    if sender is None:
        return
    given = request.form.get(FORM_FIELD, "")
    if not hmac.compare_digest(given.encode(errors="replace"), sender.form_token.encode()):
        raise Forbidden(
            "This form was not made for this login: load the page that it is on again, and send it "
            "from there."
        )


def _find_visitor(login: Login) -> Visitor | None:
    rules = login.rules
    if rules.proxy is not None:
        identity = _named_by(rules.proxy)
        number = identity.submitter if identity is not None else ""
    else:
        assert rules.provider is not None  # noqa: S101 - the file names one of both
        current = current_session(rules.provider.issuer, rules.session)
        number, identity = current or ("", None)
    if identity is None:
        return None
    roles = rules.roles(identity.claimed)
    return Visitor(
        identity.submitter, identity.name, roles, _form_token(number), rules.proxy is None
    )


def _named_by(proxy: Proxy) -> Identity | None:
    """Return whom the reverse proxy names; the header of anybody else does not count."""
    user = request.headers.get(proxy.user_header, "").strip()
    if not user:
        return None
    peer = _peer()
    if not proxy.is_at(peer):
        _log_stranger(proxy.user_header, peer)
        return None
    groups = _listed(request.headers.get(proxy.groups_header or "", ""))
    name = request.headers.get(proxy.name_header or "", "")
    try:
        return checked_identity(Identity(_PROXY, user, name, groups))
    except WrongTokenError as reason:
        _log.warning("The proxy at %s names somebody who cannot be kept: %s", peer, reason)
        return None


def _peer() -> str:
    """Return the address that the connection came from, whatever forwarded headers say."""
    before_proxies = request.environ.get("werkzeug.proxy_fix.orig")
    environ = before_proxies if isinstance(before_proxies, dict) else request.environ
    return str(environ.get("REMOTE_ADDR") or "")


def _log_stranger(header: str, peer: str) -> None:
    """Log, at most once a minute, that somebody other than the proxy sent its header."""
    with _lock:
        now = time.monotonic()
        if now - _last_logged["at"] < _LOGGED_SECONDS:
            return
        _last_logged["at"] = now
    _log.warning("%s is ignored: it came from %s, which is not the proxy.", header, peer or "?")


def _listed(header: str) -> frozenset[str]:
    return frozenset(word.strip() for word in header.split(",") if word.strip())


def _form_token(number: str) -> str:
    """Return what stands in the forms of a session, which only the service can make."""
    key = current_app.secret_key
    secret = key.encode() if isinstance(key, str) else bytes(key or b"")
    return hmac.new(secret, f"form {number}".encode(), hashlib.sha256).hexdigest()
