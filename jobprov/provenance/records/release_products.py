"""Which of a job's products is the one that people call its release."""

import re
from collections.abc import Mapping
from typing import Any

_LARSOFT = "larsoft"
# Experiments call the product of their release so: sbndcode, dunesw, novasoft, Offline
_OF_EXPERIMENTS = re.compile(r"\w+(?:code|sw|soft|offline)", re.IGNORECASE)
NOT_ONE = 2


def release_rank(name: str) -> int:
    """Return 0 for the product of an experiment's release, 1 for LArSoft's, else `NOT_ONE`."""
    if name == _LARSOFT:
        return 1
    return 0 if _OF_EXPERIMENTS.fullmatch(name) else NOT_ONE


def software_rank(entry: Mapping[str, Any]) -> int:
    """Return the place of a software entry: code of repositories, the release, the rest."""
    if entry.get("requested_ref") or entry.get("revision"):
        return -1
    return release_rank(entry.get("name") or "")
