"""Asks HTCondor's own tools for ads: batch history, epoch history, queue. Streams what they print.

Source: HTCondor manual, condor_history (`-since`: reads newest first and stops where the expression
is true) and condor_q.
"""

import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from typing import IO

from jobprov.provenance.errors import UnreachableError
from jobprov.provenance.launchers.condor.ads import Ad, read_ads
from jobprov.provenance.launchers.condor.attempts import Source

# held, or back in the queue after an attempt
_QUEUED = "JobStatus == 5 || (JobStatus != 2 && NumShadowStarts > 0)"
# Also held or removed, and its shadow is not gone yet
_RUNNING = "JobStatus == 2 || RemoteHost =!= undefined"
_NAMES_OF_ATTEMPTS = ("GlobalJobId", "NumShadowStarts", "JobStatus", "RemoteHost")
_SCHEDD = re.compile(r"^-- Schedd: (\S+) : ", re.MULTILINE)


_LIKELY = re.compile(r"^Extra Info: (.+?)\.\s", re.MULTILINE | re.DOTALL)  # condor_q: no schedd
_NO_EPOCHS = "No Job Run Instance recordings"  # of condor_history, to its standard error


class NoEpochHistoryError(UnreachableError):
    """The schedd keeps no ad for each attempt: JOB_EPOCH_HISTORY is not defined by default."""


def ask_condor(source: Source, since: int, schedd: str | None = None) -> Iterator[Ad]:
    """Yield the ads of attempts that ended since a moment, and a few older ones, of one source.

    Args:
        source: `epochs`, `history` or `queue`.
        since: seconds since 1970.
        schedd: its name, where it is not this machine's own.

    Raises:
        NoEpochHistoryError: there are no epochs.
        UnreachableError: the tool is not there, or it failed; with its own reason.
    """
    place = _place(schedd)
    if source == "queue":
        return ads_of(["condor_q", *place, "-allusers", "-json", "-constraint", _QUEUED])
    if source == "epochs":
        until = f"EpochWriteDate < {since}"
        return ads_of(["condor_history", "-epochs", *place, "-json", "-since", until])
    until = f"EnteredCurrentStatus < {since}"
    return ads_of(["condor_history", *place, "-json", "-since", until])


def ask_running(schedd: str | None = None) -> Iterator[Ad]:
    """Yield the ads of jobs that have a machine, with just what tells their attempts apart.

    Raises:
        UnreachableError: condor_q is not there, or it failed; with its last line.
    """
    asked = ["-constraint", _RUNNING, "-attributes", ",".join(_NAMES_OF_ATTEMPTS)]
    return ads_of(["condor_q", *_place(schedd), "-allusers", "-json", *asked])


def ask_queue(attributes: Sequence[str], schedd: str | None = None) -> Iterator[Ad]:
    """Yield the ads of all jobs in a queue, of all users, with just a few attributes.

    Raises:
        UnreachableError: condor_q is not there, or it failed; with its last line.
    """
    chosen = ["-attributes", ",".join(attributes)]
    return ads_of(["condor_q", *_place(schedd), "-allusers", "-json", *chosen])


def schedd_name(schedd: str | None = None) -> str:
    """Return the name of a schedd as it calls itself, this machine's own by default.

    Jobs of it have this name in their id, whatever it was called to ask it.

    Raises:
        UnreachableError: condor_q is not there, or it failed; with its last line.
    """
    command = ["condor_q", *_place(schedd), "-totals"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise UnreachableError("condor_q is not on the PATH: run this on a submit node.") from None
    named = _SCHEDD.search(done.stdout)
    if done.returncode != 0 or named is None:
        reason = last_line(done.stderr or done.stdout)
        raise UnreachableError(f"`condor_q -totals` names no schedd: {reason}.")
    return named.group(1)


def ads_of(command: Sequence[str]) -> Iterator[Ad]:
    """Yield the ads that one of HTCondor's tools prints as JSON.

    Raises:
        UnreachableError: the tool is not there, or it failed; with its last line.
    """
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
            )
        except FileNotFoundError:
            raise UnreachableError(
                f"{command[0]} is not on the PATH: run this on a submit node, "
                "or give the files (--history, --epochs)."
            ) from None
        with process:
            assert process.stdout is not None  # noqa: S101 - it was asked for
            try:
                yield from read_ads(process.stdout, command[0])
            except BaseException:
                process.kill()
                raise
            if process.wait() != 0:
                reason = _last_error(errors)
                kind = NoEpochHistoryError if _NO_EPOCHS in reason else UnreachableError
                raise kind(f"`{' '.join(command[:3])} …` fails: {reason}.")


def _place(schedd: str | None) -> list[str]:
    return ["-name", schedd] if schedd else []


def last_line(text: str) -> str:
    """Return the last line that a tool printed, without its full stop."""
    lines = text.strip().splitlines()
    return lines[-1].rstrip(".") if lines else "it printed nothing"


def _last_error(stream: IO[bytes]) -> str:
    stream.seek(0)
    text = stream.read(1 << 20).decode("utf-8", "replace")
    likely = _LIKELY.search(text)
    return " ".join(likely[1].split()) if likely else last_line(text)
