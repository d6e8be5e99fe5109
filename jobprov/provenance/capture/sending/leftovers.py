"""Records that could not be sent, on their way home.

By ifdh, or as text at the end of the job's error output.

jobsub brings nothing home but the two output streams. A block holds the spooled entry, without its
largest blobs, in base64:

    -----BEGIN JOBPROV RECORD <file name>-----
    …
    -----END JOBPROV RECORD <SHA-256 of the entry>-----
"""

import base64
import hashlib
import io
import os
import re
import zipfile
from typing import Any, Callable, Dict, List, Optional, Tuple

from jobprov.provenance.capture.asking import ask
from jobprov.provenance.capture.options import Options

_LIMIT_BYTES = 256 * 1024  # of an entry in a block: logs of batch systems are cut
_LINE = 76
_SECONDS = 60
BLOCK = re.compile(
    rb"^-----BEGIN JOBPROV RECORD ([\w.:+-]{1,200}\.jobprov)-----\r?\n([A-Za-z0-9+/=\r\n]+?)"
    rb"^-----END JOBPROV RECORD ([0-9a-f]{64})-----\r?$",
    re.MULTILINE,
)


def carry(
    entry: Any,
    job_id: str,
    options: Options,
    environment: Dict[str, str],
    write: Callable[[bytes], None],
    *,
    is_recorded: bool = False,
) -> Optional[str]:
    """Send a spooled entry (a path, or a stream) another way home.

    Return in words where it went, or None.

    `write` takes bytes for the error output. Of a job that is recorded only blobs are worth it.
    """
    usual = "stderr" if environment.get("JOBSUBJOBID") else "none"
    place = options.leftovers or usual
    if place == "none":
        return None
    if place != "stderr" and isinstance(entry, str) and _copy_by_ifdh(entry, place):
        return "copied to " + place
    content, blobs = _trimmed(entry)
    if is_recorded and not blobs:
        return None
    write(encode_block(content, job_id + ".jobprov"))
    return "written to the end of the error output"


def encode_block(content: bytes, name: str) -> bytes:
    """Return an entry as a block of text."""
    text = base64.b64encode(content)
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    begin = "-----BEGIN JOBPROV RECORD {}-----".format(name).encode()
    end = "-----END JOBPROV RECORD {}-----".format(hashlib.sha256(content).hexdigest()).encode()
    return b"\n".join([begin, *lines, end, b""])


def decode_blocks(content: bytes) -> List[Tuple[str, bytes]]:
    """Return [(file name, entry)] of the whole blocks in some text.

    What was cut or changed on the way is left out.
    """
    entries = []
    for name, text, digest in BLOCK.findall(content):
        try:
            entry = base64.b64decode(text)
        except ValueError:
            continue
        if hashlib.sha256(entry).hexdigest().encode() == digest:
            entries.append((name.decode(), entry))
    return entries


def unpack(path: str, ready: str) -> int:
    """Write the entries in a file of text to a spool's folder; return how many. Raises OSError."""
    with open(path, "rb") as log:
        entries = decode_blocks(log.read())
    for name, entry in entries:
        temporary = os.path.join(ready, "." + os.path.basename(name))
        with open(temporary, "wb") as stream:
            stream.write(entry)
        os.rename(temporary, os.path.join(ready, os.path.basename(name)))
    return len(entries)


def _trimmed(entry: Any) -> Tuple[bytes, int]:
    """Return the bytes of an entry with as many blobs, the smallest first, as the limit allows.

    And how many these are.
    """
    target, room, blobs = io.BytesIO(), _LIMIT_BYTES, 0
    copy = zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED)
    with copy, zipfile.ZipFile(entry) as source:
        members = sorted(
            source.infolist(), key=lambda member: (_is_blob(member), member.compress_size)
        )
        for member in members:
            room -= member.compress_size
            if room >= 0 or not _is_blob(member):
                copy.writestr(member, source.read(member))
                blobs += _is_blob(member)
    return target.getvalue(), blobs


def _is_blob(member: zipfile.ZipInfo) -> bool:
    return member.filename.startswith("blobs/")


def _copy_by_ifdh(path: str, place: str) -> bool:
    name = os.path.basename(path).split(".jobprov")[0] + ".jobprov"
    return ask(["ifdh", "cp", path, place.rstrip("/") + "/" + name], _SECONDS) is not None
