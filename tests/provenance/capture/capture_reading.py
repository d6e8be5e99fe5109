"""Reads back what the hook left in its spool."""

import hashlib
import io
import json
import zipfile
from typing import Any

from capture_runner import Runner


def only_entry(runner: Runner) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return record and blobs of the one entry in the spool.

    Each blob is what its digest says, and named in the record.
    """
    (entry,) = runner.entries()
    archive = zipfile.ZipFile(io.BytesIO(entry.read_bytes()))
    text = archive.read("record.json")
    blobs = {
        name[6:]: archive.read(name) for name in archive.namelist() if name.startswith("blobs/")
    }
    assert all(hashlib.sha256(content).hexdigest() == digest for digest, content in blobs.items())
    assert all(digest.encode() in text for digest in blobs)
    return json.loads(text), blobs
