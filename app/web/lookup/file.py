"""The page of a file: what made it, in the first line.

Then its neighbours, versions, facts and uses.
"""

from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response
from markupsafe import Markup

from jobprov.app.web.frame.cuts import address, cut_rows
from jobprov.app.web.frame.formats import counted, day, text
from jobprov.app.web.frame.markup import cut, digest
from jobprov.app.web.frame.page import answer, asked_file
from jobprov.app.wiring import get_service
from jobprov.provenance.lineage.graph import ended
from jobprov.provenance.services.lookup.file import find_file, name_for_questions, show_found
from jobprov.provenance.services.lookup.job import show_job


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/files/<path:name>", view_func=show_page, endpoint="file")


def show_page(name: str) -> Response:
    """Show a file."""
    service = get_service()
    with service.reading() as connection:
        found = find_file(connection, name, **asked_file())
        shown, full = show_found(connection, found), name_for_questions(connection, found)
        file, producer = shown["file"], shown["producer"]
        where = {"experiment": file["experiment"], "namespace": file["namespace"]}
        job = (
            show_job(
                connection, service.store, producer["job_id"], experiment=producer["experiment"]
            )
            if producer
            else None
        )
    output = _output_of(job, file) if job else {}
    query = address("", where)
    return answer(
        "lookup/file.html",
        twin=f"/files/{quote(file['name'], safe='')}{query}",
        lineage=f"/lineage/{quote(file['name'], safe='')}{query}",
        rebuild=f"/rebuild/{quote(file['name'], safe='')}{query}",
        diverge=address("/diverge", {"a": full, "experiment": file["experiment"]}),
        impact=address("/impact", {"file": full, "file_experiment": file["experiment"]}),
        questions=_questions(file, query, full),
        file=file,
        shown=shown,
        job=job,
        output=output,
        newest=shown["versions"][0] if shown["versions"] else None,
        first_line=first_line(shown, job),
        versions=cut_rows("versions", shown["versions"], 20),
        parents=cut_rows("parents", shown["parents"], 20),
        children=cut_rows("children", shown["children"], 20),
        consumers=cut_rows("consumers", shown["consumers"], 20),
        locations=cut_rows("locations", _locations(shown, output), 20),
        metadata=cut_rows("metadata", sorted((output.get("metadata") or {}).items()), 40),
        sightings=cut_rows("sightings", shown["sightings"], 5),
    )


def _questions(file: dict[str, Any], query: str, full: str) -> list[tuple[str, str]]:
    """Return what else one may ask of a file, with the page that answers."""
    name = quote(file["name"], safe="")
    pages = {"roots": "First inputs", "leaves": "Final products", "cost": "What it cost"}
    other = address("/relation", {"a": full, "experiment": file["experiment"]})
    return [
        *((words, f"/{page}/{name}{query}") for page, words in pages.items()),
        ("Common history with another file", other),
    ]


def first_line(shown: dict[str, Any], job: dict[str, Any] | None) -> Markup:
    """Return what made the file: job, place, day, inputs, code and configuration.

    Or who mentions it.
    """
    name = Markup("<code>{}</code>").format(cut(shown["file"]["name"], 80))
    if job is None and shown["written_by"]:
        return _tried(shown, name)
    if job is None:
        return Markup("{} was not made by a recorded job; {} {} it.").format(
            name,
            counted(shown["consumer_count"], "job"),
            "uses" if shown["consumer_count"] == 1 else "use",
        )
    producer = shown["producer"]
    parts = [Markup("{} was made by {}").format(name, _job(producer))]
    parts += (
        [Markup(" on {}").format(text(producer["host"]["hostname"]))]
        if producer["host"]["hostname"]
        else []
    )
    parts += (
        [Markup(" at {}").format(text(producer["host"]["site"]))]
        if producer["host"]["site"]
        else []
    )
    moment = producer["ended_at"] or producer["started_at"]
    parts += [Markup(", {},").format(day(moment))] if moment else []
    parts += [Markup(" {}").format(_from(len(shown["parents"]))), _with(job)]
    return Markup("").join(parts) + "."


def _tried(shown: dict[str, Any], name: Markup) -> Markup:
    """Return which job wrote the file without success, and who uses it all the same."""
    job, count = shown["written_by"], shown["consumer_count"]
    used = (
        f" {counted(count, 'job')} {'uses' if count == 1 else 'use'} it all the same."
        if count
        else ""
    )
    return Markup("{} was written by {}, which {}; it counts as not made.{}").format(
        name, _job(job), ended(job["state"]), used
    )


def _job(producer: dict[str, Any]) -> Markup:
    name = text(producer["batch_id"]) if producer["batch_id"] else producer["job_id"][:8]
    link = Markup('job <a href="{}">{}</a>').format(producer["url"], name)
    task = producer["task"]["task_id"]
    if not task:
        return link
    url = address(f"/tasks/{task}", {"experiment": producer["experiment"]})
    return Markup('{} (task <a href="{}">{}</a>)').format(link, url, cut(task, 50))


def _from(count: int) -> str:
    return f"from {counted(count, 'input')}" if count else "without inputs"


def _with(job: dict[str, Any]) -> Markup:
    """Return code and configuration in words; nothing where the record names none."""
    words = []
    for entry in job["software"][:1]:
        commit = (entry.get("resolution") or {}).get("commit") or entry.get("revision")
        name = (
            " ".join(text(entry[key]) for key in ("name", "requested_ref") if entry.get(key))
            or "code"
        )
        said = (
            "inferred commit"
            if (entry.get("resolution") or {}).get("evidence") == "inferred"
            else "commit"
        )
        words.append(
            Markup("{} ({} {})").format(name, said, digest(commit, 8))
            if commit
            else Markup("{}").format(name)
        )
    mains = [entry["main"] for entry in job["configurations"] if entry.get("main")]
    words += [Markup("<code>{}</code>").format(cut(main, 40)) for main in dict.fromkeys(mains[:3])]
    if not words:
        return Markup("")
    head, last = words[:-1], words[-1]
    return Markup(" with {}").format(
        Markup(", ").join(head) + Markup(" and ") + last if head else last
    )


def _output_of(job: dict[str, Any], file: dict[str, Any]) -> dict[str, Any]:
    """Return the file as its producer recorded it."""
    same = [output for output in job["outputs"] if output["name"] == file["name"]]
    return same[0] if same else {}


def _locations(shown: dict[str, Any], output: dict[str, Any]) -> list[str]:
    own = [output["location"]] if output.get("location") else []
    return list(dict.fromkeys([*own, *shown["locations"]]))
