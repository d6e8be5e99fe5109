"""The page of a file: what made it, in the first line.

Its neighbours, versions, facts and uses follow.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

from flask import Response
from markupsafe import Markup

from jobprov.app.web.frame.cuts import Cut, address, cut_rows
from jobprov.app.web.frame.formats import counted, day, text
from jobprov.app.web.frame.markup import cut, digest
from jobprov.app.web.frame.page import answer, asked_file, asked_number, pages
from jobprov.app.web.lookup.entries import complete
from jobprov.app.wiring import Connection, get_service
from jobprov.provenance.answers.addresses import file_page, history_page, replicas_page, task_page
from jobprov.provenance.answers.lookup.files import FileAnswer, ReadContent, RecordedVersion
from jobprov.provenance.answers.lookup.jobs import JobSummary
from jobprov.provenance.answers.names import FileName, short_job
from jobprov.provenance.errors import AmbiguousError
from jobprov.provenance.lineage.graph import ended
from jobprov.provenance.records.files.checksums import may_be_one_content
from jobprov.provenance.records.job_record import Output
from jobprov.provenance.records.release_products import software_rank
from jobprov.provenance.services.lookup.file import find_file, name_for_questions, show_found
from jobprov.provenance.services.lookup.files import list_namesakes
from jobprov.provenance.services.lookup.job import read_job, software_of

_MOST_CONFIGURATIONS = 3
_MOST_NAMESAKES = 100


class Maker(NamedTuple):
    """The job that made the version of a file, as far as the page shows it.

    Attributes:
        output: the file as the job recorded it.
        software: its software with the commits that the service found.
        fcl_files: the main files of its configurations.
    """

    summary: JobSummary
    output: Mapping[str, Any]
    software: Sequence[Mapping[str, Any]]
    fcl_files: list[str]


class FilePage(NamedTuple):
    """What the page shows.

    Attributes:
        lineage, rebuild, diverge, impact: pages of the file's history.
        questions: other pages of it, each with its title.
        bundle: of the job that made the file.
        output: the file as its job recorded it.
        newest: the version that is shown.
    """

    twin: str
    other_campaigns: list[tuple[str | None, str]]
    lineage: str
    rebuild: str
    diverge: str
    impact: str
    questions: list[tuple[str, str]]
    file: FileName
    shown: FileAnswer
    bundle: str | None
    output: Mapping[str, Any]
    newest: RecordedVersion | None
    first_line: Markup
    versions: Cut
    parents: Cut
    children: Cut
    consumers: Cut
    is_one_content: bool
    locations: Cut
    metadata: Cut
    sightings: Cut


@pages.get("/files/<path:name>", endpoint="file")
def show_page(name: str) -> Response:
    """Show a file."""
    service = get_service()
    with service.reading() as connection:
        try:
            file = find_file(connection, name, **asked_file())
        except AmbiguousError:
            return _show_namesakes(connection, name)
        number = asked_number("version", least=1, most=2**31 - 1)
        shown = show_found(connection, file, version=number)
        name_in_questions = name_for_questions(connection, file)
        maker = None
        if shown.producer is not None:
            maker = _maker(connection, shown.producer, file.name)
    return answer("lookup/file.html", **_page(shown, maker, name_in_questions)._asdict())


def _show_namesakes(connection: Connection, name: str) -> Response:
    """Show the files of a name side by side, by what tells them apart."""
    bare = name.rpartition(":")[2]
    files = list_namesakes(connection, (name, bare), most=_MOST_NAMESAKES + 1, **asked_file())
    shown, has_more = files[:_MOST_NAMESAKES], len(files) > _MOST_NAMESAKES
    page = answer("lookup/namesakes.html", name=name, files=shown, has_more=has_more)
    page.status_code = HTTPStatus.MULTIPLE_CHOICES
    return page


def _maker(connection: Connection, producer: JobSummary, name: str) -> Maker:
    store = get_service().store
    job = read_job(connection, store, producer.job_id, experiment=producer.experiment)
    record = job.reading.raw
    recorded = None
    for output in record.get("outputs") or ():
        if output["name"] == name:
            recorded = output
            break
    main_files = []
    for configuration in record.get("configurations") or ():
        if configuration.get("main"):
            main_files.append(configuration["main"])
    software = sorted(software_of(connection, job), key=software_rank)
    return Maker(producer, complete(recorded, Output), software, main_files)


def _page(shown: FileAnswer, maker: Maker | None, name_in_questions: str) -> FilePage:
    file = shown.file
    output: Mapping[str, Any] = complete(None, Output)
    bundle = None
    if maker is not None:
        output = maker.output
        bundle = f"/api/v1/jobs/{maker.summary.job_id}/bundle"
    metadata = sorted((output["metadata"] or {}).items())
    version = next((row for row in shown.versions if row.number == shown.version), None)
    other_campaigns = _other_campaigns(shown, version)
    # The call below /api/v1 has the path of the page
    twin = file_page(file.name, file.experiment, file.namespace)
    if not _is_newest(shown):
        twin = _with_query(twin, {"version": str(shown.version)})
    addresses = _history_addresses(shown, name_in_questions, is_alone=not other_campaigns)
    return FilePage(
        twin=twin,
        other_campaigns=other_campaigns,
        **addresses._asdict(),
        file=file,
        shown=shown,
        bundle=bundle,
        output=output,
        newest=version,
        first_line=first_line(shown, maker),
        versions=cut_rows("versions", shown.versions, 20),
        parents=cut_rows("parents", shown.parents, 20),
        children=cut_rows("children", shown.children, 20),
        consumers=cut_rows("consumers", shown.consumers, 20),
        is_one_content=_is_one_content(shown.read_contents),
        locations=cut_rows("locations", _locations(shown, output), 20),
        metadata=cut_rows("metadata", metadata, 40),
        sightings=cut_rows("sightings", shown.sightings, 5),
    )


def _is_one_content(contents: Sequence[ReadContent]) -> bool:
    return may_be_one_content(
        [(content.size_bytes, " ".join(content.checksums)) for content in contents]
    )


class _HistoryAddresses(NamedTuple):
    """Pages of a file's history; `questions` are further ones, each with its title."""

    lineage: str
    rebuild: str
    diverge: str
    impact: str
    questions: list[tuple[str, str]]


def _history_addresses(
    shown: FileAnswer, name_in_questions: str, *, is_alone: bool
) -> _HistoryAddresses:
    """Return where the history of a file is.

    Args:
        shown: the file.
        name_in_questions: its name in queries.
        is_alone: whether a single campaign wrote files of this name.
    """
    file = shown.file
    place = (file.experiment, file.namespace)
    version = {}
    if not is_alone or not _is_newest(shown):
        # The name alone would add up what several campaigns made, or mean the newest version
        version = {"version": str(shown.version)}
    lineage = history_page("lineage", file.name, *place)
    first_inputs = history_page("roots", file.name, *place)
    final_products = history_page("leaves", file.name, *place)
    cost = history_page("cost", file.name, *place)
    with_another_file = {"a": name_in_questions, "experiment": file.experiment}
    readers = {"reads": name_in_questions, "file_experiment": file.experiment}
    return _HistoryAddresses(
        lineage=_with_query(lineage, version),
        rebuild=history_page("rebuild", file.name, *place),
        diverge=address("/diverge", with_another_file),
        impact=address("/impact", readers),
        questions=[
            ("First inputs", _with_query(first_inputs, version)),
            ("Final products", _with_query(final_products, version)),
            ("What it cost", _with_query(cost, version)),
            ("Common history with another file", address("/relation", with_another_file)),
            ("Where it is now", replicas_page(file.name, *place)),
        ],
    )


def _is_newest(shown: FileAnswer) -> bool:
    return not shown.versions or shown.version == shown.versions[0].number


def _with_query(url: str, query: dict[str, str]) -> str:
    """Return an address that has a query with further words behind it."""
    for name, value in query.items():
        url += f"&{name}={value}"
    return url


def _other_campaigns(
    shown: FileAnswer, chosen: RecordedVersion | None
) -> list[tuple[str | None, str]]:
    """Return the other campaigns that wrote the name, each with the page of its newest version."""
    if chosen is None:
        return []
    file = shown.file
    newest_numbers: dict[str | None, int] = {}
    for version in shown.versions:  # the newest first
        newest_numbers.setdefault(version.job.task.campaign, version.number)
    newest_numbers.pop(chosen.job.task.campaign, None)
    page = file_page(file.name, file.experiment, file.namespace)
    campaigns = []
    for campaign, number in newest_numbers.items():
        campaigns.append((campaign, _with_query(page, {"version": str(number)})))
    return campaigns


def first_line(shown: FileAnswer, maker: Maker | None) -> Markup:
    """Return what made the file: job, place, day, inputs, code and configuration.

    Where no job made it, return who mentions it.
    """
    name = Markup("<code>{}</code>").format(cut(shown.file.name, 80))
    if maker is None and shown.written_by is not None:
        return _tried(shown, shown.written_by, name)
    if maker is None:
        return Markup("{} was not made by a recorded job; {} it.").format(name, _users(shown))
    job = maker.summary
    parts = [Markup("{} was made by {}").format(name, _job(job))]
    if job.host.hostname:
        parts.append(Markup(" on {}").format(text(job.host.hostname)))
    if job.host.site:
        parts.append(Markup(" at {}").format(text(job.host.site)))
    if moment := job.ended_at or job.started_at:
        parts.append(Markup(", {},").format(day(moment)))
    if shown.parents:
        parts.append(Markup(" from {}").format(counted(len(shown.parents), "input")))
    else:
        parts.append(Markup(" without inputs"))
    parts.append(_with(maker))
    return Markup("").join(parts) + "."


def _tried(shown: FileAnswer, job: JobSummary, name: Markup) -> Markup:
    """Return which job wrote the file without success, and who uses it anyway."""
    sentence = Markup("{} was written by {}, which {}; it counts as not made.").format(
        name, _job(job), ended(job.state)
    )
    if not shown.consumer_count:
        return sentence
    return sentence + Markup(" {} it anyway.").format(_users(shown))


def _users(shown: FileAnswer) -> str:
    verb = "uses" if shown.consumer_count == 1 else "use"
    return f"{counted(shown.consumer_count, 'job')} {verb}"


def _job(job: JobSummary) -> Markup:
    name = text(job.batch_id) if job.batch_id else short_job(job.job_id)
    link = Markup('job <a href="{}">{}</a>').format(job.url, name)
    task_id = job.task.task_id
    if not task_id:
        return link
    url = task_page(task_id, job.experiment)
    return Markup('{} (task <a href="{}">{}</a>)').format(link, url, cut(task_id, 50))


def _with(maker: Maker) -> Markup:
    """Return code and configurations in words; nothing where the record names none."""
    parts = [_code(entry) for entry in maker.software[:1]]
    mains = dict.fromkeys(maker.fcl_files[:_MOST_CONFIGURATIONS])
    parts += [Markup("<code>{}</code>").format(cut(main, 40)) for main in mains]
    if not parts:
        return Markup("")
    *others, last = parts
    if not others:
        return Markup(" with {}").format(last)
    return Markup(" with {} and {}").format(Markup(", ").join(others), last)


def _code(entry: Mapping[str, Any]) -> Markup:
    """Return a software entry as people call it, with its commit or qualifiers."""
    product = entry.get("product") or {}
    words = [entry.get("name"), entry.get("requested_ref") or product.get("version")]
    name = " ".join(text(word) for word in words if word) or "code"
    resolution = entry["resolution"] or {}
    commit = resolution.get("commit") or entry.get("revision")
    if commit:
        is_inferred = resolution.get("evidence") == "inferred"
        noun = "inferred commit" if is_inferred else "commit"
        return Markup("{} ({} {})").format(name, noun, digest(commit, 8))
    if product.get("qualifiers"):
        return Markup("{} ({})").format(name, cut(product["qualifiers"], 30))
    return Markup("{}").format(name)


def _locations(shown: FileAnswer, output: Mapping[str, Any]) -> Sequence[str]:
    """Return where the file lies: first where its job put it."""
    recorded = [output["location"]] if output["location"] else []
    return list(dict.fromkeys([*recorded, *shown.locations]))
