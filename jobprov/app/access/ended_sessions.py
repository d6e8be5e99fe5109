"""Sessions that are over before their time: somebody logged out, here or at the provider.

Each end is a file in the data folder, which all worker processes see, named by a hash of what is
over; it is empty, and its time says since when. Decisions 30 and 47 say why there is no table.
"""

import hashlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobprov.app.wiring import get_service
from jobprov.provenance.services.intake.logins import MOST_MINUTES
from jobprov.provenance.services.intake.tokens import WrongTokenError

if TYPE_CHECKING:  # a service without logins loads nothing for them
    from jobprov.provenance.services.intake.logout_tokens import ProviderLogout


def provider_session(issuer: str, session_id: str) -> str:
    """Return a short name for the provider's session, to keep with ours."""
    return _hash("provider session", issuer, session_id)


def is_ended(login: Mapping[str, Any]) -> bool:
    """Return whether a session is over that its cookie takes for open."""
    if _file(_hash(login["id"])).exists():
        return True
    issuer, subject = login["iss"], login["sub"]
    # A session of before the upgrade does not know when its ID token was made
    began = login.get("issued", login["began"])
    if _is_over_since(_hash("person", issuer, subject), began):
        return True
    known = login.get("provider_session")
    if known is None:
        return _is_over_since(_hash("person without session", issuer, subject), began)
    return _file(known).exists()


def note_end(session_id: str) -> None:
    """Note that a session of ours is over.

    Raises:
        OSError: that cannot be noted.
    """
    _note(_hash(session_id), time.time())
    _forget_old()


def note_provider_logout(logout: "ProviderLogout") -> None:
    """Note what is over at the provider.

    Where it names a session, that one is, and those of the same person that do not know to which of
    the provider's they belong; else all of the person. A login that came later is none of them.

    Raises:
        WrongTokenError: the token counted before.
        OSError: it cannot be noted.
    """
    used = _hash("logout token", logout.issuer, logout.token_id)
    if _file(used).exists():
        raise WrongTokenError("jti: this logout token counted before.")
    at = logout.issued_at
    if logout.session_id is not None:
        _note(provider_session(logout.issuer, logout.session_id), at)
    if logout.subject is not None:
        whose = "person" if logout.session_id is None else "person without session"
        _note(_hash(whose, logout.issuer, logout.subject), at)
    # At last: a token whose end could not be noted may come again
    _note(used, time.time())
    _forget_old()


def _is_over_since(name: str, began: float) -> bool:
    """Return whether an end was noted that is not older than a session.

    Of one second nobody knows which came first: the session is over.
    """
    try:
        return began <= _file(name).stat().st_mtime
    except OSError:
        return False


def _note(name: str, at: float) -> None:
    """Make a file of this time, if there is none of a later one."""
    file = _file(name)
    if _is_over_since(name, at):
        return
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.touch()
    os.utime(file, (at, at))


def _file(name: str) -> Path:
    return get_service().settings.data / "ended-sessions" / name


def _hash(*words: str) -> str:
    """Return the name of a file. Only the last word can hold the letter that keeps words apart."""
    return hashlib.sha256("\0".join(words).encode(errors="replace")).hexdigest()[:40]


def _forget_old() -> None:
    """Forget ended sessions that would be over by now anyway, however long they may last."""
    before = time.time() - (MOST_MINUTES + 1) * 60
    for file in _file("").iterdir():
        if file.stat().st_mtime < before:
            file.unlink(missing_ok=True)
