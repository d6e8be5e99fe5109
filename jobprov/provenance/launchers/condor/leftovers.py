"""Records that the hook could not send and the batch system brought home.

They are beside the job's output, or in its errors. Whoever submitted the job wrote these files. So
a file is read only if it belongs to the job's owner, and it counts only if it is a record of this
very attempt: else a user could report jobs of others with the witness's token.

Source: docs/reference/hook.md, "Delivery".
"""

import io
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from jobprov.provenance.capture.sending.homing import SUFFIX, entry_name
from jobprov.provenance.capture.sending.leftovers import decode_blocks
from jobprov.provenance.capture.surroundings import batch
from jobprov.provenance.launchers.condor.attempts import Attempt
from jobprov.provenance.launchers.condor.logs import open_owned

_MOST_PARTS = 10
"""Records of one attempt that are looked for."""

_SEARCHED_BYTES = 4 << 20
"""At the end of the errors; a block has a third of a MiB at most."""

_LARGEST_BYTES = 512 << 20
"""Of an entry, unpacked."""

_LARGEST_RECORD_BYTES = 8 << 20
_RECORD = "record.json"


class Leftovers:
    """Finds what came home of attempts.

    It remembers the names in each folder, which many jobs share.
    """

    def __init__(self) -> None:
        self._names: dict[str, set[str]] = {}

    def of(self, attempt: Attempt, experiment: str) -> Iterator[BinaryIO]:
        """Yield the entries of an attempt, open.

        Those of other jobs or experiments are left out.
        """
        job_ids = [_job_id(attempt, part) for part in range(_MOST_PARTS)]
        streams: list[BinaryIO] = []
        names_there = self._names_in(attempt.fact("Iwd"))
        for job_id in job_ids:
            name = str(entry_name(job_id))
            stream = open_owned(attempt, name) if name in names_there else None
            if stream is not None:
                streams.append(stream)
        streams += _in_errors(attempt)
        for stream in streams:
            with stream:
                if _is_of(stream, experiment, job_ids):
                    stream.seek(0)
                    yield stream

    def _names_in(self, folder: object) -> set[str]:
        if not isinstance(folder, str) or "\0" in folder:
            return set()
        if folder not in self._names:
            try:
                with os.scandir(Path(folder)) as entries:
                    self._names[folder] = {
                        entry.name for entry in entries if entry.name.endswith(SUFFIX)
                    }
            except OSError:
                self._names[folder] = set()
        return self._names[folder]


def _job_id(attempt: Attempt, part: int) -> str:
    described = {"global_job_id": attempt.identity, "attempt": attempt.number, "part": part}
    return str(batch.name_job(described))


def _in_errors(attempt: Attempt) -> Iterator[BinaryIO]:
    name = attempt.fact("Err")
    stream = None if name == "/dev/null" else open_owned(attempt, name)
    if stream is None:
        return
    with stream:
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - _SEARCHED_BYTES))
        for _, entry in decode_blocks(stream.read(_SEARCHED_BYTES)):
            yield io.BytesIO(entry)


def _is_of(stream: BinaryIO, experiment: str, job_ids: list[str]) -> bool:
    """Return whether an entry can be read and has the hook's own record of one of these jobs."""
    try:
        with zipfile.ZipFile(stream) as entry:
            if entry.getinfo(_RECORD).file_size > _LARGEST_RECORD_BYTES:
                return False
            if sum(item.file_size for item in entry.infolist()) > _LARGEST_BYTES:
                return False
            record = json.loads(entry.read(_RECORD))
    except (
        zipfile.BadZipFile,
        KeyError,
        ValueError,
        OSError,
        RuntimeError,
        NotImplementedError,
        EOFError,
    ):
        return False
    if not isinstance(record, dict) or record.get("witness") == "history":
        return False
    return record.get("experiment") == experiment and record.get("job_id") in job_ids
