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

from jobprov.provenance.answers.orders import OutsideInput

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
        """Return what a person has to know of an input that was not found."""
        places = "; ".join(self.tried) or "no place of it is recorded"
        return f"input {self.input.name} of job {self.input.job_id}: {places}"


def look_for(outside: OutsideInput, folders: Sequence[Path] = (), fetch_command: str = "") -> Look:
    """Return what a look at the places of an input shows, and first at folders that were named."""
    tried: list[str] = []
    is_unsure = False
    places = [str(folder.resolve() / Path(outside.name).name) for folder in folders]
    for place in [*places, *outside.places]:
        problem = _problem_at(place, outside)
        if problem is None:
            return Look(outside, place, is_unsure=False, tried=tried)
        if problem == _UNSEEN and (fetch_command or urlsplit(place).scheme in _XROOTD):
            is_unsure = True
        tried.append(f"{place}: {problem}")
    return Look(outside, None, is_unsure, tried)


_UNSEEN = "cannot be looked at from here"


def _problem_at(place: str, outside: OutsideInput) -> str | None:
    """Return what is wrong at a place; None where the file is there, as far as can be seen."""
    scheme = urlsplit(place).scheme.lower()
    if place.startswith("/"):
        return _problem_of_path(Path(place), outside)
    if scheme in ("http", "https"):
        return _problem_of_address(place, outside)
    if scheme in _XROOTD and shutil.which("xrdfs"):
        return _problem_of_xrootd(place)
    return _UNSEEN


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
        answer = requests.head(address, timeout=_SECONDS, allow_redirects=True)
    except requests.RequestException as error:
        return f"no answer ({type(error).__name__})"
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
        return f"no answer in {_SECONDS} seconds"
    if done.returncode == 0:
        return None
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1] if lines else f"{shlex.join(command)} ended with {done.returncode}"
