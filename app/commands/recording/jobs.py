"""`jobprov record`: send records, or a spool of the hook, by hand."""

import json
import os
import sys
import tempfile
from pathlib import Path

import click

from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.opening import emit, json_option, settings_with, url_option
from jobprov.provenance.capture.packing import build
from jobprov.provenance.errors import ProvenanceError, UnreachableError

_BLOCK = b"-----BEGIN JOBPROV RECORD "


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

    Or what a job's error output holds.
    """
    results = [
        _flush(path, url) if path.is_dir() or _is_log(path) else _send(path, url) for path in paths
    ]
    lines = [f"{result['path']}: {result['outcome']}" for result in results]
    emit(results, "\n".join(lines), as_json=as_json)
    if not all(result["is_taken"] for result in results):
        sys.exit(3 if any(result.get("is_unreachable") for result in results) else 1)


def _is_log(path: Path) -> bool:
    return _BLOCK in path.read_bytes()


def _send(path: Path, url: str | None) -> dict[str, object]:
    try:
        answer = client_for(url).record(path.read_bytes())
    except UnreachableError as problem:
        return {
            "path": str(path),
            "is_taken": False,
            "outcome": f"not sent: {problem}",
            "is_unreachable": True,
        }
    except ProvenanceError as problem:
        return {"path": str(path), "is_taken": False, "outcome": f"refused: {problem}"}
    except ValueError as problem:
        return {
            "path": str(path),
            "is_taken": False,
            "outcome": f"refused: it holds no JSON: {problem}",
        }
    gaps = len(answer["gaps"])
    outcome = (
        f"{answer['change']} as {answer['job_id']}, grade {answer['grade']}, {gaps} "
        f"gap{'' if gaps == 1 else 's'}"
    )
    return {"path": str(path), "is_taken": True, "outcome": outcome, "answer": answer}


def _flush(path: Path, url: str | None) -> dict[str, object]:
    """Have the hook itself send its spool."""
    import subprocess  # noqa: PLC0415 - for spools alone

    settings = settings_with(url=url)
    with tempfile.TemporaryDirectory() as folder:
        hook = Path(folder) / "job-end-hook.pyz"
        build(str(hook))
        environment = {
            **os.environ,
            **({"JOBPROV_TOKEN": settings.token} if settings.token else {}),
        }
        spool = [] if path.is_dir() else ["--spool", str(Path(folder) / "spool")]
        words = [
            sys.executable,
            str(hook),
            "flush",
            "--json",
            *spool,
            "--url",
            settings.url,
            str(path),
        ]
        ended = subprocess.run(
            words, env=environment, capture_output=True, text=True, errors="replace", check=False
        )
    said = _said(ended.stdout)
    outcome = ended.stderr.strip()
    if said.get("found") == 0:
        return {
            "path": str(path),
            "is_taken": False,
            "outcome": "it holds no whole record: what it has of one was cut or changed",
        }
    result: dict[str, object] = {
        "path": str(path),
        "is_taken": ended.returncode == 0,
        "outcome": outcome,
    }
    return result if said.get("is_answered", True) else {**result, "is_unreachable": True}


def _said(text: str) -> dict[str, object]:
    """Return what the hook says of a flush; nothing where it could not say it."""
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


COMMANDS = {"record": record}
