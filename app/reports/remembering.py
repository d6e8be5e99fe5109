"""Remembers what a mail said last, so that a report on changes comes once for each."""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from jobprov.provenance.errors import BadInputError


def default_file(service: str, experiment: str, campaign: str) -> Path:
    """Return the file in which the last report of this campaign is remembered.

    It lies below XDG_STATE_HOME or ~/.local/state.
    """
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    name = hashlib.sha256(json.dumps([service, experiment, campaign]).encode()).hexdigest()[:16]
    return Path(base) / "jobprov" / f"report-{name}.json"


def remembered(file: Path) -> set[str]:
    """Return what held at the last report; nothing before the first.

    Raises:
        BadInputError: the file is there and cannot be read.
    """
    try:
        return set(json.loads(file.read_text(encoding="utf-8"))["conditions"])
    except FileNotFoundError:
        return set()
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise BadInputError(
            f"--state: {file} is not what a report left there ({problem}); remove it to begin anew."
        ) from None


def remember(file: Path, conditions: Mapping[str, str]) -> None:
    """Keep what holds now: written whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", dir=file.parent, delete=False, encoding="utf-8"
    ) as stream:
        json.dump({"conditions": dict(conditions)}, stream, indent=1)
        written = Path(stream.name)
    written.replace(file)
