"""The storage clients that a job's scripts call, for which a rerun has a stand-in.

A script that fetches its inputs and stores its outputs itself calls `ifdh cp` or `xrdcp`. In ten
years neither the client nor the storage may be there, and while they are, a rerun must not store
anything. So storage.sh stands in for clients, from the second edition of bundles on.
"""

import posixpath
from collections.abc import Iterator

from jobprov.provenance.bundle.fields import RecordPart
from jobprov.provenance.bundle.ingredients import SMALL_BYTES
from jobprov.provenance.bundle.needs import CODE
from jobprov.provenance.bundle.payload.payload import Payload
from jobprov.provenance.bundle.payload.places import Place

SERVED = (
    "gfal-copy",
    "gfal-ls",
    "gfal-mkdir",
    "gfal-rm",
    "gfal-stat",
    "globus-url-copy",
    "ifdh",
    "xrdcp",
    "xrdfs",
)
"""Those whose calls storage.sh serves."""
_REFUSED = (
    "arccp",
    "arcrm",
    "dccp",
    "ddisp",
    "eoscp",
    "gfal-chmod",
    "gfal-rename",
    "gfal-save",
    "lcg-cp",
    "lcg-del",
    "metacat",
    "rucio",
    "samweb",
    "srmcp",
    "srmrm",
    "uberftp",
)
"""Those that it stands in for by failing with an explanation."""
CLIENTS = tuple(sorted((*SERVED, *_REFUSED)))
"""A rerun calls none of these; clients.sh looks for them on the machine."""
_SYSTEM = ("/bin/", "/usr/")


def add_storage_clients(payload: Payload) -> None:
    """Let storage.sh stand in for the clients that the job's commands and scripts name.

    It serves them the inputs by their recorded locations, and delivers these in their order.
    """
    if payload.edition == 1:
        return
    locations = _locations_of_inputs(payload.record)
    names = _named_clients(payload)
    if names is None:  # not all scripts are known
        moves_files = locations or _are_outputs_stored(payload.record)
        names = list(CLIENTS) if moves_files else []
    for name in names:
        payload.lay_out("storage_client", name, *_places(payload, name))
    if names:
        payload.uses_storage_clients = True
        for location in locations:
            payload.lay_out("delivered", location)


def _locations_of_inputs(record: RecordPart) -> list[str]:
    """Where the job had its inputs from, in order."""
    locations = []
    for file in record.parts("inputs"):
        location = file.text("location")
        if file.text("role") in {"", "primary"} and location and location != file.text("path"):
            locations.append(location)
    return locations


def _are_outputs_stored(record: RecordPart) -> bool:
    """Whether the job moved or copied an output elsewhere."""
    return any(file.text("location") for file in record.parts("outputs"))


def _named_clients(payload: Payload) -> list[str] | None:
    """The clients named in a command or script of the job; None if a script is not known."""
    texts = []
    for step in payload.steps:
        texts += [word.encode("utf-8", "replace") for word in step.argv]
    for script in payload.record.parts("scripts"):
        sha256 = script.digest("sha256")
        if not payload.has(sha256) or payload.draft.reader.size(sha256) > SMALL_BYTES:
            return None
        texts.append(payload.draft.reader.get(sha256))
    all_text = b"\n".join(texts)
    return [name for name in CLIENTS if name.encode() in all_text]


def _places(payload: Payload, name: str) -> Iterator[Place]:
    """Where the job had a client that no caller's PATH leads to, as in a product's folder."""
    paths = [script.text("path") for script in payload.record.parts("scripts")]
    for path in [*paths, *_touched_paths(payload)]:
        if posixpath.basename(path) == name and path.startswith("/"):
            place = payload.places.locate(path) or Place("elsewhere", path)
            if place.variable == "elsewhere":
                yield place


def _touched_paths(payload: Payload) -> Iterator[str]:
    """The installed files that a traced job was seen to use, without those of the system."""
    sha256 = payload.environment.digest("touched_sha256")
    if payload.level < CODE or not payload.has(sha256):
        return
    for line in payload.draft.reader.get(sha256).decode("utf-8", "replace").splitlines():
        path = line.split("\t", 1)[0]
        if path.startswith("/") and not path.startswith(_SYSTEM) and "%" not in path:
            yield path
