"""Asks HTCondor's own tools for ads: batch history, epoch history, queue. Streams what they print.

Source: HTCondor manual, condor_history (`-since`: reads newest first and stops where the expression
is true) and condor_q.
"""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from typing import IO

from jobprov.provenance.errors import UnreachableError
from jobprov.provenance.launchers.condor.ads import Ad, read_ads
from jobprov.provenance.launchers.condor.attempts import Source

# held, or back in the queue after an attempt
_QUEUED = "JobStatus == 5 || (JobStatus != 2 && NumShadowStarts > 0)"


def ask_condor(source: Source, since: int, schedd: str | None = None) -> Iterator[Ad]:
    """Yield the ads of attempts that ended since a moment, and a few older ones, of one source.

    Args:
        source: `epochs`, `history` or `queue`.
        since: seconds since 1970.
        schedd: its name, where it is not this machine's own.

    Raises:
        UnreachableError: the tool is not there, or it failed; with what it said.
    """
    place = ["-name", schedd] if schedd else []
    words = {
        "epochs": [
            "condor_history",
            "-epochs",
            *place,
            "-json",
            "-since",
            f"EpochWriteDate < {since}",
        ],
        "history": ["condor_history", *place, "-json", "-since", f"EnteredCurrentStatus < {since}"],
        "queue": ["condor_q", *place, "-allusers", "-json", "-constraint", _QUEUED],
    }[source]
    return ads_of(words)


def ads_of(words: Sequence[str]) -> Iterator[Ad]:
    """Yield the ads that one of HTCondor's tools prints as JSON.

    Raises:
        UnreachableError: the tool is not there, or it failed; with what it said.
    """
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
            )
        except FileNotFoundError:
            raise UnreachableError(
                f"{words[0]} is not on the PATH: run this on a submit node, "
                "or give the files (--history, --epochs)."
            ) from None
        with process:
            assert process.stdout is not None  # noqa: S101 - it was asked for
            try:
                yield from read_ads(process.stdout, words[0])
            except BaseException:
                process.kill()
                raise
            if process.wait() != 0:
                raise UnreachableError(f"`{' '.join(words[:3])} …` fails: {_said(errors)}.")


def last_line(text: str) -> str:
    """Return the last line that a tool said, without its full stop."""
    lines = text.strip().splitlines()
    return lines[-1].rstrip(".") if lines else "it says nothing"


def _said(stream: IO[bytes]) -> str:
    stream.seek(0)
    return last_line(stream.read(1 << 20).decode("utf-8", "replace"))
