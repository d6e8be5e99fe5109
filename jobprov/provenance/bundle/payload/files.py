"""Other files of a job in its bundle: scripts, conditions, logs, seeds."""

import posixpath
from typing import NamedTuple

from jobprov.provenance.bundle.fields import RecordPart, decimal
from jobprov.provenance.bundle.ingredients import SMALL_BYTES
from jobprov.provenance.bundle.needs import CODE, SMALL_INPUTS
from jobprov.provenance.bundle.payload.layout import made_folders, note_how_it_was
from jobprov.provenance.bundle.payload.payload import SHEBANG_BYTES, Payload

_PROGRAM_BITS = 0o111


class _ScriptRow(NamedTuple):
    """A line of `scripts/scripts.tsv`; here and below, the fields are the columns."""

    sha256: str
    mode: str
    name: str
    path: str
    software: str
    path_in_repository: str
    stored: str


class _ConditionsRow(NamedTuple):
    """A line of `conditions/conditions.tsv`."""

    database: str
    tag: str
    validity: str
    sha256: str
    url: str
    stored: str


class _LogRow(NamedTuple):
    """A line of `logs/logs.tsv`."""

    name: str
    step: str
    sha256: str
    size: str
    is_truncated: str
    stored: str


class _SeedRow(NamedTuple):
    """A line of `seeds.tsv`."""

    step: str
    module: str
    instance: str
    engine: str
    seed: str
    state_sha256: str
    source: str
    stored: str


def add_scripts(payload: Payload) -> None:
    """Write every script that is possessed, to be laid out where the job used it."""
    table = []
    for script in payload.record.parts("scripts"):
        name = script.text("name")
        table.append(
            _ScriptRow(
                sha256=script.digest("sha256"),
                mode=_mode(script.text("mode")),
                name=name,
                path=script.text("path") or name,
                software=script.text("software"),
                path_in_repository=script.text("path_in_repository") or "untracked",
                stored=_add_script(payload, script),
            )
        )
    payload.table("scripts/scripts.tsv", _ScriptRow._fields, table)


def _add_script(payload: Payload, script: RecordPart) -> str:
    """Write a script; return its path in the payload, or '' if it became a need."""
    name, sha256 = script.text("name"), script.digest("sha256")
    path = script.text("path") or name
    if not payload.has(sha256):
        payload.needs.add(
            CODE, "script", name, "a script that the job ran", digest=sha256, place=path
        )
        return ""
    if payload.level < CODE:
        payload.needs.add(CODE, "script", name, payload.left_out, digest=sha256, place=path)
        return ""
    stored = payload.shelve("scripts", path.removeprefix("./").lstrip("/"), sha256)
    if _is_made_by_job(payload, script, path):
        return stored
    payload.place(stored, _mode(script.text("mode")), path)
    place = payload.places.settle(path)
    if place is not None:
        note_how_it_was(payload, script, place)
        payload.note_shebang(place, payload.draft.reader.get(sha256)[:SHEBANG_BYTES])
    return stored


def _is_made_by_job(payload: Payload, script: RecordPart, path: str) -> bool:
    """Whether a script came in a folder that the job made, so that a rerun makes or fetches it.

    Were it laid out, that folder would be there before the job: `git clone` and `os.mkdir` fail.
    """
    folder = posixpath.dirname(payload.places.absolute(path))
    return script.text("evidence") == "seen" and made_folders(payload, folder) > 0


def _mode(recorded: str) -> str:
    """The mode of a script: 0644 only if it was recorded as not executable."""
    try:
        is_program = int(recorded or "755", 8) & _PROGRAM_BITS
    except ValueError:
        is_program = True
    return "0755" if is_program else "0644"


def add_conditions(payload: Payload) -> None:
    """Write the payload of every conditions database that is possessed."""
    table = []
    for condition in payload.record.parts("conditions"):
        table.append(
            _ConditionsRow(
                database=condition.text("database"),
                tag=condition.text("tag"),
                validity=condition.text("validity"),
                sha256=condition.digest("payload_sha256"),
                url=condition.text("url"),
                stored=_add_constants(payload, condition),
            )
        )
    if table:
        payload.table("conditions/conditions.tsv", _ConditionsRow._fields, table)


def _add_constants(payload: Payload, condition: RecordPart) -> str:
    """Write the payload of a database; return its path, or '' if it became a need."""
    database, sha256 = condition.text("database"), condition.digest("payload_sha256")
    if not payload.has(sha256):
        payload.needs.add(
            SMALL_INPUTS,
            "conditions",
            f"{database} {condition.text('tag')} {condition.text('validity')}".strip(),
            "constants that the job read",
            digest=sha256,
            place=condition.text("url"),
        )
        return ""
    if payload.level < SMALL_INPUTS:
        why = payload.left_out
        payload.needs.add(SMALL_INPUTS, "conditions", database, why, digest=sha256)
        return ""
    return payload.shelve("conditions", database, sha256)


def add_logs(payload: Payload) -> None:
    """Write the logs that are possessed and small, and the digests of all logs."""
    table = []
    for log in payload.record.parts("logs"):
        table.append(
            _LogRow(
                name=log.text("name"),
                step=log.text("step"),
                sha256=log.digest("sha256"),
                size=decimal(log.number("size_bytes")),
                is_truncated="yes" if log.has("is_truncated") else "no",
                stored=_add_log(payload, log),
            )
        )
    if table:
        payload.table("logs/logs.tsv", _LogRow._fields, table)


def _add_log(payload: Payload, log: RecordPart) -> str:
    sha256 = log.digest("sha256")
    if payload.level < CODE or not payload.has(sha256):
        return ""
    if payload.draft.reader.size(sha256) > SMALL_BYTES:
        return ""
    return payload.shelve("logs", posixpath.basename(log.text("name")), sha256)


def add_seeds(payload: Payload) -> None:
    """Write every seed that is known."""
    table = []
    for seed in payload.record.parts("seeds"):
        state, stored = seed.digest("state_sha256"), ""
        if payload.level >= CODE and payload.has(state):
            stored = payload.shelve("seeds", state, state)
        table.append(
            _SeedRow(
                step=seed.text("step"),
                module=seed.text("module"),
                instance=seed.text("instance"),
                engine=seed.text("engine"),
                seed=decimal(seed.number("seed")),
                state_sha256=state,
                source=seed.text("source"),
                stored=stored,
            )
        )
    payload.table("seeds.tsv", _SeedRow._fields, table)
