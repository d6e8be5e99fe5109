"""Look-ups of the search box: each by the beginning of one indexed column, bounded."""

import json
import uuid
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, LargeBinary, exists, func, select, type_coerce

from jobprov.provenance.db.queries.fragments.node_facts import file_url, job_url
from jobprov.provenance.db.queries.fragments.patterns import begins
from jobprov.provenance.db.queries.lookup.named_files import is_named
from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.db.tables import (
    Experiment,
    File,
    Host,
    Job,
    Resolution,
    SoftwareRow,
    Stage,
    TaskRow,
)
from jobprov.provenance.records.addresses import campaign_url


def _hit(kind: str, text: str, detail: str, url: str) -> dict[str, Any]:
    return {"kind": kind, "text": text, "detail": detail, "url": url}


def files_named(connection: Connection, text: str, most: int) -> list[dict[str, Any]]:
    """Return files whose name begins so."""
    query = (
        select(File.name, File.namespace, Experiment.name)
        .join(Experiment, Experiment.id == File.experiment_id)
        .where(begins(File.name, text.rpartition(":")[2] if ":" in text else text), is_named())
        .order_by(File.name, File.namespace, Experiment.name)
        .limit(most)
    )
    return [
        _hit("file", row[0], f"{row[2]} {row[1]}".strip(), file_url(row[0], row[2], row[1]))
        for row in connection.execute(query)
    ]


def jobs_by_id(connection: Connection, text: str, most: int) -> list[dict[str, Any]]:
    """Return jobs whose id begins so; eight digits at least."""
    digits = text.lower().replace("-", "")
    if len(digits) < 8 or len(digits) > 32 or set(digits) - set("0123456789abcdef"):  # noqa: PLR2004
        return []
    low, high = (type_coerce(uuid.UUID(digits.ljust(32, fill)).bytes, LargeBinary) for fill in "0f")
    column = type_coerce(Job.uuid, LargeBinary)
    query = (
        select(Job.uuid, Job.state, Experiment.name)
        .join(Experiment, Experiment.id == Job.experiment_id)
        .where(column >= low, column <= high)
        .limit(most)
    )
    return [
        _hit("job", row[0], f"{row[2]}, {STATES[row[1]]}", job_url(row[0]))
        for row in connection.execute(query)
    ]


def jobs_by_batch_id(connection: Connection, text: str, most: int) -> list[dict[str, Any]]:
    """Return jobs whose batch id begins so, if it looks like one."""
    if not text[0].isdigit():
        return []
    query = (
        select(Job.uuid, Job.batch_id, Job.state)
        .where(begins(Job.batch_id, text))
        .order_by(Job.batch_id)
        .limit(most)
    )
    return [
        _hit("job", row[1] or "", STATES[row[2]], job_url(row[0]))
        for row in connection.execute(query)
    ]


def tasks_named(connection: Connection, text: str, most: int) -> list[dict[str, Any]]:
    """Return tasks whose id begins so."""
    query = (
        select(TaskRow.task_id, Experiment.name)
        .join(Experiment, Experiment.id == TaskRow.experiment_id)
        .where(begins(TaskRow.task_id, text))
        .order_by(TaskRow.task_id)
        .limit(most)
    )
    return [
        _hit("task", row[0], row[1], f"/tasks/{quote(row[0], safe='')}?experiment={row[1]}")
        for row in connection.execute(query)
    ]


def campaigns_named(connection: Connection, text: str, most: int) -> list[dict[str, Any]]:
    """Return campaigns whose name begins so and that a task belongs to.

    Of others nothing is left but the name.
    """
    query = (
        select(Stage.campaign, Experiment.name)
        .join(Experiment, Experiment.id == Stage.experiment_id)
        .where(begins(Stage.campaign, text), exists().where(TaskRow.stage_id == Stage.id))
        .distinct()
        .order_by(Stage.campaign)
        .limit(most)
    )
    return [
        _hit("campaign", row[0], row[1], campaign_url(row[0], row[1]))
        for row in connection.execute(query)
    ]


def revisions_named(connection: Connection, text: str, most: int) -> list[dict[str, Any]]:
    """Return commits that begin so, or refs of this name."""
    digits = text.lower()
    is_commit = len(digits) >= 6 and not set(digits) - set("0123456789abcdef")  # noqa: PLR2004
    match = begins(SoftwareRow.revision, digits) if is_commit else SoftwareRow.requested_ref == text
    query = (
        select(SoftwareRow.revision, SoftwareRow.requested_ref, SoftwareRow.name)
        .where(match)
        .distinct()
        .limit(most)
    )
    hits = [
        _hit(
            "commit",
            row[0] or row[1] or "",
            f"{row[2] or ''} {row[1] or ''}".strip(),
            f"/jobs?revision={quote(row[0] or row[1] or '')}",
        )
        for row in connection.execute(query)
    ]
    named = {hit["text"] for hit in hits}
    return (
        hits + [hit for hit in _resolved(connection, digits, most) if hit["text"] not in named]
        if is_commit
        else hits
    )


def _resolved(connection: Connection, digits: str, most: int) -> list[dict[str, Any]]:
    """Return commits that begin so and that no record names.

    Those of tags, and of products, where they are inferred.
    """
    query = (
        select(Resolution.commit, Resolution.document)
        .where(begins(Resolution.commit, digits))
        .limit(most)
    )
    found = {}
    for commit, text in connection.execute(query):
        document = json.loads(text)
        words = [document.get("name"), document.get("requested_ref"), document.get("evidence")]
        detail = " ".join(word for word in words if word)
        found[commit] = _hit("commit", commit, detail, f"/jobs?revision={quote(commit)}")
    return list(found.values())


def hosts_named(connection: Connection, text: str, most: int) -> list[dict[str, Any]]:
    """Return worker nodes whose name begins so."""
    query = (
        select(Host.hostname, func.min(Host.site))
        .where(begins(Host.hostname, text))
        .group_by(Host.hostname)
        .order_by(Host.hostname)
        .limit(most)
    )
    return [
        _hit("host", row[0], row[1], f"/jobs?host={quote(row[0])}")
        for row in connection.execute(query)
    ]
