"""Looks from here whether the inputs of retries that their bundles lack can be reached.

It runs where jobs are submitted, under the account that owns them: before anything is submitted, a
person learns which files are gone. Nothing is fetched, only looked at.
"""

import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import requests

from jobprov.provenance.answers.orders.orders import OutsideInput
from jobprov.provenance.services.agents.outside_addresses import InnerAddressError, look_at

_SECONDS = 20
_XROOTD = ("root", "roots", "xroot", "xroots")


class Look(NamedTuple):
    """What a look at one input showed.

    Attributes:
        found: where it is: a path or an address; None where it is at none of its places.
        is_unsure: a place cannot be looked at from here, so that it may be there.
        tried: each place with what was wrong there.
    """

    input: OutsideInput
    found: str | None
    is_unsure: bool
    tried: list[str]

    @property
    def is_unreachable(self) -> bool:
        """Whether the input is at none of its places, as far as can be seen from here."""
        return self.found is None and not self.is_unsure

    def sentence(self) -> str:
        """Return where an input was looked for, as a sentence for people."""
        places = "; ".join(self.tried) or "no place of it is recorded"
        return f"input {self.input.name} of job {self.input.job_id}: {places}"


class InputSearch:
    """Looks for inputs; what was seen at a place is not looked at again.

    Attributes:
        folders: looked at first, for they were named by hand.
    """

    def __init__(self, folders: Sequence[Path] = (), fetch_command: str = "") -> None:
        self.folders = [folder.resolve() for folder in folders]
        self._can_fetch_anything = bool(fetch_command)
        self._seen: dict[tuple[str, int | None], str | None] = {}
        self._silent: set[str] = set()

    def look_for(self, outside: OutsideInput) -> Look:
        """Look for an input at all of its places; return where it is, or where it is not."""
        tried: list[str] = []
        is_unsure = False
        named = [str(folder / Path(outside.name).name) for folder in self.folders]
        for place in [*named, *outside.places]:
            key = place, outside.size_bytes
            if key not in self._seen:
                self._seen[key] = self._problem_at(place, outside)
            problem = self._seen[key]
            if problem is None:
                return Look(outside, place, is_unsure=False, tried=tried)
            if problem == _UNSEEN and self._may_be_fetched(place):
                is_unsure = True
            tried.append(f"{place}: {problem}")
        return Look(outside, None, is_unsure, tried)

    def _may_be_fetched(self, place: str) -> bool:
        return self._can_fetch_anything or urlsplit(place).scheme in _XROOTD

    def _problem_at(self, place: str, outside: OutsideInput) -> str | None:
        """Return what is wrong at a place; None where the file is there, as far as can be seen."""
        if place.startswith("/"):
            return _problem_of_path(Path(place), outside)
        parts = urlsplit(place)
        # A server that does not answer would keep a task of a thousand jobs waiting for hours
        if parts.netloc in self._silent:
            return _SILENT
        problem: str | None = _UNSEEN
        if parts.scheme.lower() in ("http", "https"):
            problem = _problem_of_address(place, outside)
        elif parts.scheme.lower() in _XROOTD and shutil.which("xrdfs"):
            problem = _problem_of_xrootd(place)
        if problem == _SILENT:
            self._silent.add(parts.netloc)
        return problem


_UNSEEN = "cannot be looked at from here"
_SILENT = "its server does not answer"


def _problem_of_path(path: Path, outside: OutsideInput) -> str | None:
    try:
        if not path.is_file():
            return "no such file"
        size = path.stat().st_size
    except OSError as error:
        return str(error.strerror)
    return _problem_of_size(size, outside)


def _problem_of_size(size: int, outside: OutsideInput) -> str | None:
    if outside.size_bytes is not None and size != outside.size_bytes:
        return f"it has {size} bytes, not {outside.size_bytes}"
    return None


def _problem_of_address(address: str, outside: OutsideInput) -> str | None:
    try:
        answer = look_at(address, _SECONDS)
    except InnerAddressError as refusal:
        return str(refusal)
    except requests.RequestException:
        return _SILENT
    if not answer.ok:
        return f"status {answer.status_code}"
    length = answer.headers.get("Content-Length", "")
    is_packed = "Content-Encoding" in answer.headers
    if length.isdecimal() and not is_packed:
        return _problem_of_size(int(length), outside)
    return None


def _problem_of_xrootd(address: str) -> str | None:
    parts = urlsplit(address)
    command = ["xrdfs", f"{parts.scheme}://{parts.netloc}", "stat", "/" + parts.path.lstrip("/")]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return _SILENT
    if done.returncode == 0:
        return None
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1] if lines else f"{shlex.join(command)} ended with {done.returncode}"
