"""What a retry made, when it is back where it was submitted.

A worker node may not reach the storage that the submit node reaches: then the batch system brought
the files back in a folder, with a note of where they belong. They go there by the same rules as on
the worker node: checksums are compared, and nothing that is there with other bytes is replaced.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from jobprov.provenance.launchers.scripts.retry_files import (
    DESTINATIONS,
    can_hold,
    copy_to,
    local_path,
)

RETURNED = "outputs"
"""The folder of a job that comes back with what the retry made."""


def has_outputs(returned: Path) -> bool:
    """Return whether a folder that came back still has files of a retry."""
    return next(_outputs(returned), None) is not None


def _outputs(returned: Path) -> Iterator[Path]:
    for path in sorted(returned.rglob("*")):
        if path.is_file() and path.name != DESTINATIONS:
            yield path


def bring_retry_home(returned: Path, output_dir: Path | None) -> str | None:
    """Copy what came back to where it belongs; return what is wrong, None where nothing is.

    What belongs nowhere else stays in the folder.
    """
    note = returned / DESTINATIONS
    if not note.is_file():
        return None
    noted = json.loads(note.read_text(encoding="utf-8"))
    problems = []
    for file in _outputs(returned):
        name = str(file.relative_to(returned))
        place = _place_of(name, noted["files"], output_dir)
        if place is None:
            continue
        try:
            copy_to(str(file), place, noted["job_id"])
        except OSError as error:
            problems.append(f"{file} cannot be brought to {place}: {error.strerror}")
        else:
            file.unlink()
    if not problems:
        return None
    more = f"; {len(problems) - 1} more" if len(problems) > 1 else ""
    return f"{problems[0]}{more}"


def _place_of(name: str, destinations: dict[str, str], output_dir: Path | None) -> str | None:
    """Return where a file belongs; a sidecar goes with its file."""
    for suffix in ("", ".json"):
        place = local_path(destinations.get(name.removesuffix(suffix), ""))
        if place is not None and can_hold(place):
            return place + (suffix if name.endswith(suffix) else "")
    return None if output_dir is None else str(output_dir / name)
