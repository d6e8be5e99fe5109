"""Where the job's folders were: `command/paths.sh`, by which run.sh builds the rerun's own root.

In its own root, a rerun finds its files at the recorded absolute paths; otherwise below OUT.
"""

import posixpath

from jobprov.provenance.bundle.payload.payload import Payload
from jobprov.provenance.bundle.payload.places import Place, normal, quote


def add_paths(payload: Payload) -> None:
    """Write `command/paths.sh`; strings must have been rewritten before."""
    checkouts: dict[Place, str] = {}
    lines = [_folders_line(payload)]
    for path, place in payload.places.mapped().items():
        recorded = _recorded(payload, place, checkouts)
        if place.variable == "src" and place.rest.count("/") == 1 and place not in checkouts:
            checkouts[place] = path
            lines.append(f"checkout {place.word()} {quote(path)}")
        elif recorded is not None and recorded != path:
            # The job used another name of the same folder
            lines.append(f"same_folder {quote(recorded)} {quote(path)}")
    payload.shell("command/paths.sh", [*lines, *_variable_lines(payload)])


def map_program_folders(payload: Payload) -> None:
    """Map the folders of the recorded PATH in which a program is laid out as a single file.

    So the rewritten PATH leads to it.
    """
    with_files = set()
    for file in payload.laid_out:
        if file.variable == "elsewhere":
            with_files.add(posixpath.dirname(file.rest))
    for folder in payload.recorded_variable("PATH").split(":"):
        if folder.startswith("/") and normal(folder) in with_files:
            payload.map_folder(folder)


def _folders_line(payload: Payload) -> str:
    """`folders WORK HOME TMPDIR PATH`, empty where not recorded."""
    fields = [payload.places.working_directory or payload.command.text("working_directory")]
    for name in ("HOME", "TMPDIR"):
        folder = payload.recorded_variable(name)
        is_absolute = folder.startswith("/")
        fields.append(normal(folder) if is_absolute else "")
    fields.append(payload.recorded_variable("PATH"))
    return " ".join(["folders", *map(quote, fields)])


def _recorded(payload: Payload, place: Place, checkouts: dict[Place, str]) -> str | None:
    """The absolute path that a place stands for; None if it is in no recorded checkout."""
    if place.variable != "src":
        return payload.places.recorded(place)
    for checkout, path in checkouts.items():
        if place == checkout or place.is_below(checkout):
            return path + place.rest[len(checkout.rest) :]
    return None


def _variable_lines(payload: Payload) -> list[str]:
    """Set the variables of paths that are not the same below OUT and in the rerun's own root."""
    in_root, below_out = [], []
    for number, (path, place) in enumerate(payload.places.aliases.items(), 1):
        in_root.append(f"  at_{number}={quote(path)}")
        below_out.append(f"  at_{number}={place.word()}")
    for variable, value in payload.then_lists.items():
        in_root.append(f"  {variable}=")
        below_out.append(f"  {variable}={quote(':' + value)}")
    if not in_root:
        return []
    return ['if [ "$way" = own ]; then', *in_root, "else", *below_out, "fi"]
