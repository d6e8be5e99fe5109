"""`jobprov repository`: what the service may fetch.

It works on the database directly, so that only operators can use it.
"""

from typing import TYPE_CHECKING

import click

from jobprov.app.commands.terminal.groups import Group
from jobprov.app.commands.terminal.opening import emit, opens_service
from jobprov.app.commands.terminal.tables import cell_table
from jobprov.provenance.capture.secrets.texts import redact_text
from jobprov.provenance.db.queries.code.repositories import registered_repositories
from jobprov.provenance.lineage.words import counted, number
from jobprov.provenance.services.code.repositories import (
    fetch_problems,
    find_repository,
    register_repository,
    repository_json,
)
from jobprov.provenance.services.code.resolutions import fetch_repository

if TYPE_CHECKING:
    from jobprov.app.wiring import Service


@click.group(cls=Group)
def repository() -> None:
    """Register, list and fetch the repositories that records may name."""


@repository.command()
@click.argument("name")
@click.argument("url")
@opens_service
def add(*, name: str, url: str, service: "Service", as_json: bool) -> None:
    """Register a repository by URL or local path.

    Code of it that records name is then resolved in the background.
    """
    added = service.write(lambda writing: register_repository(writing, name, url))
    following = (
        "The service now looks there for the commits of jobs; `jobprov work` does so at once."
    )
    emit(
        repository_json(added),
        f"Repository {added.name} is registered. {following}",
        as_json=as_json,
    )


@repository.command("list")
@opens_service
def list_them(*, service: "Service", as_json: bool) -> None:
    """List the registered repositories, when each was last fetched, and what went wrong since."""
    with service.reading() as connection:
        repositories = registered_repositories(connection)
        problems = fetch_problems(connection)
    documents, rows = [], []
    for registered in repositories:
        document = repository_json(registered)
        problem = redact_text(problems.get(registered.match_key) or "")
        documents.append({**document, "problem": problem or None})
        rows.append((document["name"], document["url"], registered.fetched_at, problem))
    text = "No repository is registered."
    if rows:
        text = cell_table(("NAME", "URL", "FETCHED", "LAST PROBLEM"), rows)
    emit(documents, text, as_json=as_json)


@repository.command()
@click.argument("name")
@opens_service
def fetch(*, name: str, service: "Service", as_json: bool) -> None:
    """Fetch a repository now, and list the tags that moved."""
    with service.reading() as connection:
        registered = find_repository(connection, name)
    parts = service.parts()
    report = fetch_repository(parts, registered)
    refs = len(report.refs)
    kind = "branch or tag" if refs == 1 else "branches and tags"
    lines = [f"{number(refs)} {kind}, {counted(len(report.changes), 'change')}."]
    moved_tags = []
    for change in report.moved_tags:
        moved_tags.append({"ref": change.ref, "was": change.old, "is": change.new})
        was, now = str(change.old)[:12], str(change.new or "nothing")[:12]
        lines.append(f"{change.ref} moved from {was} to {now}.")
    emit({"refs": refs, "moved_tags": moved_tags}, "\n".join(lines), as_json=as_json)


COMMANDS = {"repository": repository}
EXAMPLES = {
    "repository add": ("jobprov repository add toyexp https://git.example.org/toyexp.git",),
    "repository list": ("jobprov repository list",),
    "repository fetch": ("jobprov repository fetch toyexp",),
}
