"""`jobprov record`: send records, or a spool of the hook, by hand."""

import os
import sys
import tempfile
from pathlib import Path

import click
import msgspec

from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.opening import emit, json_option, settings_with, url_option
from jobprov.provenance.answers.recording import RecordAnswer
from jobprov.provenance.errors import ProvenanceError, UnreachableError
from jobprov.provenance.launchers.hook_file import put_hook
from jobprov.provenance.lineage.words import counted

_BLOCK = b"-----BEGIN JOBPROV RECORD "
_NO_SPOOL = (
    "nothing sent: it is no spool of the hook (a spool has a folder `ready`), "
    "and no jobprov-*.jobprov file lies in it"
)


class SentPath(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a file or folder that was to be sent.

    Attributes:
        outcome: for people.
        is_unreachable: no service answered.
        is_no_spool: it is a folder in which the hook never kept anything.
        answer: about a record alone; what a spool held has several.
    """

    path: str
    is_taken: bool
    outcome: str
    is_unreachable: bool = False
    is_no_spool: bool = False
    answer: RecordAnswer | None = None


class _Flush(msgspec.Struct):
    """What the hook says of a flush.

    Attributes:
        found: how many records were there; None where the hook does not count them.
        is_answered: whether a service answered.
    """

    found: int | None = None
    is_answered: bool = True


@click.command()
@click.argument(
    "paths",
    metavar="FILE...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, path_type=Path),
)
@url_option
@json_option
def record(*, paths: tuple[Path, ...], url: str | None, as_json: bool) -> None:
    """Send records, each a JSON file; or a spool folder of the hook, with its blobs.

    Or what a job's error output holds. Exit code 3 where no service answers, or a folder is no
    spool; 1 where a record was refused.
    """
    results = []
    for path in paths:
        send = _flush if path.is_dir() or _is_log(path) else _send
        results.append(send(path, url))
    lines = [f"{result.path}: {result.outcome}" for result in results]
    emit(results, "\n".join(lines), as_json=as_json)
    if all(result.is_taken for result in results):
        return
    was_never_sent = any(result.is_unreachable or result.is_no_spool for result in results)
    sys.exit(3 if was_never_sent else 1)


def _is_log(path: Path) -> bool:
    return _BLOCK in path.read_bytes()


def _send(path: Path, url: str | None) -> SentPath:
    """Send a record that lies in a file of its own."""
    name = str(path)
    try:
        answer = client_for(url).record(path.read_bytes())
    except UnreachableError as problem:
        return SentPath(name, is_taken=False, outcome=f"not sent: {problem}", is_unreachable=True)
    except ProvenanceError as problem:
        return SentPath(name, is_taken=False, outcome=f"refused: {problem}")
    except ValueError as problem:
        return SentPath(name, is_taken=False, outcome=f"refused: it holds no JSON: {problem}")
    gaps = counted(len(answer.gaps), "gap")
    outcome = f"{answer.change} as {answer.job_id}, grade {answer.grade}, {gaps}"
    return SentPath(name, is_taken=True, outcome=outcome, answer=answer)


def _flush(path: Path, url: str | None) -> SentPath:
    """Have the hook itself send its spool."""
    import subprocess  # noqa: PLC0415 - for spools alone

    if path.is_dir() and not _has_spool(path):
        return SentPath(str(path), is_taken=False, outcome=_NO_SPOOL, is_no_spool=True)
    settings = settings_with(url=url)
    environment = dict(os.environ)
    if settings.token:
        environment["JOBPROV_TOKEN"] = settings.token
    if settings.token_file is not None:
        environment["JOBPROV_TOKEN_FILE"] = str(settings.token_file)
    with tempfile.TemporaryDirectory() as folder:
        hook = Path(folder) / "job-end-hook.pyz"
        put_hook(hook)
        command = [sys.executable, str(hook), "flush", "--json"]
        if not path.is_dir():
            # What a log holds is unpacked into a spool first
            command += ["--spool", str(Path(folder) / "spool")]
        command += ["--url", settings.url, str(path)]
        ended = subprocess.run(
            command, env=environment, capture_output=True, text=True, errors="replace", check=False
        )
    flush = _read_flush(ended.stdout)
    if flush.found == 0:
        outcome = "it holds no whole record: what it has of one was cut or changed"
        return SentPath(str(path), is_taken=False, outcome=outcome)
    return SentPath(
        str(path),
        is_taken=ended.returncode == 0,
        outcome=ended.stderr.strip(),
        is_unreachable=not flush.is_answered,
    )


def _has_spool(folder: Path) -> bool:
    """Return whether a folder is a spool, or holds what came home with jobs' output.

    The hook would make any other folder a spool, and say that nothing was left in it.
    """
    if any(spool.joinpath("ready").is_dir() for spool in (folder, folder / "jobprov-spool")):
        return True
    return any(folder.glob("jobprov-*.jobprov"))


def _read_flush(text: str) -> _Flush:
    try:
        return msgspec.json.decode(text, type=_Flush)
    except msgspec.MsgspecError:
        return _Flush()  # it ended before it could say anything


COMMANDS = {"record": record}
EXAMPLES = {
    "record": (
        "jobprov record record.json",
        "jobprov record spool",
    ),
}
