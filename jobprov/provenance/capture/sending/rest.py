"""What of an entry did not arrive, or never will: kept in its place, and called by its name.

Loaded only where something is left.
"""

import shutil
import zipfile
from typing import Any, List, Optional

from jobprov.provenance.capture.record.encoding import encode
from jobprov.provenance.capture.record.json_objects import Record
from jobprov.provenance.capture.sending import spool as spools
from jobprov.provenance.capture.sending.entry import DAMAGES, Entry
from jobprov.provenance.capture.sending.service import RefusedError

_MOST_NAMES = 5  # in a line for the job's log
_LONGEST_NAME = 100
_SHORT_DIGEST = 12
_CHUNK = 64 * 1024


def keep(owned: str, entry: Entry) -> None:
    """Leave in a claimed entry only what the service has not confirmed, and close it.

    Where that cannot be written it stays whole: what the service has is not sent again.
    """
    try:
        spools.replace(owned, lambda stream: write(stream, entry))
    except (OSError, RefusedError, *DAMAGES):
        pass
    finally:
        entry.close()


def write(stream: Any, entry: Entry) -> None:
    """Write an entry of what the service has not confirmed.

    The record stays: the service's answer to it says what is still missing.
    """
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
        for digest in sorted(entry.unconfirmed()):
            member = spools.information("blobs/" + digest)
            member.file_size = entry.size(digest)
            with archive.open(member, "w") as target, entry.open_blob(digest) as source:
                shutil.copyfileobj(source, target, _CHUNK)
        archive.writestr(spools.information("record.json"), entry.record_bytes)
        delivery = dict(entry.delivery, is_recorded=True)
        archive.writestr(spools.information("delivery.json"), encode(delivery))


def waiting(entry: Entry) -> str:
    """Return `2 blobs (log err.txt, run.sh)`, those that did not arrive."""
    names = sorted(_name(entry.record, digest) for digest in entry.waiting)
    listed = names[:_MOST_NAMES]
    if len(names) > len(listed):
        listed.append("and {} more".format(len(names) - len(listed)))
    count = "1 blob" if len(names) == 1 else "{} blobs".format(len(names))
    return "{} ({})".format(count, ", ".join(listed))


def refusals(entry: Entry) -> List[str]:
    """Return a sentence for each blob that the service refused for good.

    One for all past the fifth.
    """
    sentences = []
    for digest in sorted(entry.refused):
        sentences.append(
            "{} is refused: {}".format(_name(entry.record, digest), entry.refused[digest])
        )
    if len(sentences) > _MOST_NAMES:
        more = len(sentences) - _MOST_NAMES
        sentences[_MOST_NAMES:] = ["{} more are refused".format(more)]
    return sentences


def _name(record: Record, digest: str) -> str:
    """Return how the record calls what a blob holds."""
    name = _name_in(record, digest, "") or "blob " + digest[:_SHORT_DIGEST]
    return name[:_LONGEST_NAME]


def _name_in(value: Any, digest: str, place: str) -> Optional[str]:
    """Return the name beside a digest in a record, `log err.txt` for a log, else its field's."""
    if isinstance(value, list):
        members = [(place, item) for item in value]
    elif isinstance(value, dict):
        members = list(value.items())
    else:
        return None
    for key, item in members:
        if item == digest:
            return _described(value, key, place)
        name = _name_in(item, digest, key)
        if name is not None:
            return name
    return None


def _described(fields: Any, key: str, place: str) -> str:
    name = fields.get("name") or fields.get("repository") if isinstance(fields, dict) else None
    if not name:
        return key
    return "log {}".format(name) if place == "logs" else str(name)
