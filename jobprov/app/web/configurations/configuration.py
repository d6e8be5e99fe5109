"""The page of a configuration: its files as they were, expanded, or evaluated.

Evaluated, it is a tree that says where each value comes from.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from flask import Response, make_response, render_template

from jobprov.app.web.configurations.drawing import Branch, Page, branch, inside, matching, page_of
from jobprov.app.web.frame.cuts import Cut, address, cut_rows, tightness
from jobprov.app.web.frame.formats import counted
from jobprov.app.web.frame.page import answer, asked, asked_number, experiment_asked, here, pages
from jobprov.app.wiring import get_service
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.fhicl import Parameter
from jobprov.provenance.records.job_record import SourceFile
from jobprov.provenance.services.configurations.configuration import (
    ConfigurationError,
    EvaluatedParameters,
    RecordedConfiguration,
    parameters_of,
    printed,
    read_configuration,
    run_answer,
    source_of,
)
from jobprov.provenance.services.lookup.job import read_job, show_job

FORMS = {
    "evaluated": "Evaluated",
    "files": "Files as sent",
    "expanded": "Expanded",
    "ran": "As run",
}
DOWNLOADS = {
    "expanded": "expanded",
    "indented": "evaluated, as fhicl-dump prints it",
    "annotated": "with file and line behind each value",
    "prefix-annotated": "with file and line above each value",
    "canonical": "canonical, one line",
    "compact": "compact",
    "ran": "as run",
    "computed": "as run, computed",
}
_FILES, _LINES_OF_TREE, _LINES_OF_PIECE = 60, 220, 240
_FEWEST_LINES_BACK = 50
_FILE_LINE_COLUMN = re.compile(r"(?P<file>.+):(?P<line>\d+):[^:]*", re.DOTALL)
"""Where a message of the FHiCL reader begins with the place that it is about."""


@pages.get("/jobs/<job_id>/configurations/<path:step>", endpoint="configuration")
def show_page(job_id: str, step: str) -> Response:
    """Show the configuration of a step in one of its forms.

    A page that is open asks for a branch of its tree alone.
    """
    form = _form_asked()
    service, experiment = get_service(), experiment_asked()
    job = None
    with service.reading() as connection:
        configuration = read_configuration(
            connection, service.store, job_id, step, experiment=experiment
        )
        if not asked("piece"):
            read = read_job(connection, service.store, job_id, experiment=experiment)
            job = show_job(connection, read)
    evaluated, problem = _evaluated(configuration)
    if job is None:
        return _piece(configuration, evaluated)
    path = f"/jobs/{job.summary.job_id}/configurations/{quote(step, safe='')}"
    # The job's program may have written it; else it may be computed
    is_written = configuration.recorded.final_sha256 in configuration.sources
    run = run_answer(configuration)
    is_computed = run.computed_as is not None
    ran_is_here = is_written or is_computed
    twin_form = "files" if form == "ran" else form
    return answer(
        "configurations/configuration.html",
        twin=path + address("", {"form": twin_form, "experiment": experiment or ""}),
        summary=job.summary,
        configuration=configuration.recorded,
        step=step,
        form=form,
        forms=_forms(ran_is_here=ran_is_here),
        downloads=_downloads(
            path,
            step,
            is_evaluated=evaluated is not None,
            ran_is_here=ran_is_here,
            is_computed=is_written and is_computed,
        ),
        first_line=first_line(configuration, evaluated),
        problem=problem,
        evaluation=configuration.evaluation,
        run=run,
        is_written=is_written,
        evaluated_id=evaluated.identity if evaluated else None,
        bad_line=_bad_line(configuration, problem),
        place_of=_places(configuration.recorded.files or ()),
        api=f"/api/v1{path}",
        commits=_commits(job.software),
        **_shown(form, configuration, evaluated)._asdict(),
    )


def _form_asked() -> str:
    """Return the form in the address: without one, the evaluated tree, or the file that it names.

    Raises:
        BadInputError: there is no such form.
    """
    form = asked("form")
    if form is None:
        return "files" if asked("file") else "evaluated"
    if form not in FORMS:
        raise BadInputError.of_field("form", f"one of {', '.join(FORMS)}")
    return form


class _Form(NamedTuple):
    """A form of the configuration that the page can show."""

    name: str
    title: str
    url: str


class _Download(NamedTuple):
    """A text that can be saved."""

    title: str
    url: str
    file_name: str


class _SourceLine(NamedTuple):
    """The include name of a file, and the address of a line of it; None where it is not here."""

    name: str
    url: str | None


def _forms(*, ran_is_here: bool) -> list[_Form]:
    """Return the forms that the page can show."""
    forms = []
    for form, title in FORMS.items():
        if form != "ran" or ran_is_here:
            forms.append(_Form(form, title, here(**_only(form))))
    return forms


def _downloads(
    path: str, step: str, *, is_evaluated: bool, ran_is_here: bool, is_computed: bool
) -> list[_Download]:
    """Return the texts that can be saved."""
    is_here = dict.fromkeys(DOWNLOADS, is_evaluated)
    is_here |= {"ran": ran_is_here, "computed": is_computed}
    downloads = []
    for form, title in DOWNLOADS.items():
        if is_here[form]:
            query = address("", {"form": form, "experiment": experiment_asked() or ""})
            downloads.append(_Download(title, f"/api/v1{path}{query}", f"{step}-{form}.fcl"))
    return downloads


def _commits(software: Sequence[Mapping[str, Any]]) -> dict[Any, Any]:
    """Return the commit of each repository of the job, by name."""
    commits = {}
    for entry in software:
        if entry.get("revision"):
            commits[entry.get("name")] = entry.get("revision")
    return commits


def first_line(configuration: RecordedConfiguration, evaluated: EvaluatedParameters | None) -> str:
    """Return how large the configuration is, and its identity."""
    line = counted(len(configuration.recorded.files or ()), "file")
    identity = configuration.recorded.parameter_set_id
    if evaluated is not None:
        line += f", {counted(len(evaluated.parameters), 'parameter')}"
        identity = evaluated.identity
    if not identity:
        return f"{line}."
    return f"{line}; ParameterSetID {identity[:12]}…"


def _evaluated(
    configuration: RecordedConfiguration,
) -> tuple[EvaluatedParameters | None, str | None]:
    try:
        return parameters_of(configuration), None
    except ConfigurationError as problem:
        return None, str(problem).split("\n", maxsplit=1)[0]


def _bad_line(configuration: RecordedConfiguration, problem: str | None) -> str | None:
    """Return the address of the line that is not valid FHiCL.

    None unless the message names a line of a file that is here.
    """
    place, _, _ = (problem or "").partition(": ")
    match = _FILE_LINE_COLUMN.fullmatch(place)
    if match is None:
        return None
    place_of = _places(configuration.recorded.files or ())
    return place_of(match["file"], int(match["line"])).url


def _places(files: Sequence[SourceFile]) -> Callable[[str, int], _SourceLine]:
    """Return a function that takes a path, as an origin names it, and the number of a line."""
    names = {file.path or file.name: file.name for file in reversed(files)}

    def place(path: str, line: int) -> _SourceLine:
        name = names.get(path)
        if name is None:
            return _SourceLine(path, None)
        address = here(**_only("files", file=name, line=str(line)))
        return _SourceLine(name, f"{address}#L{line}")

    return place


def _only(form: str, **query: str) -> dict[str, str | None]:
    """Return the changes that leave the address only the experiment, the form and these words."""
    others = dict.fromkeys(("at", "q", "file", "line", "whole", "from", "piece"))
    return {**others, "form": form, **query}


class ShownForm(NamedTuple):
    """What the chosen form shows: a table of files, a text, or a branch of the tree.

    What belongs to the other forms is None.

    Attributes:
        file: whose text is shown.
        mark: the line that stands out.
        earlier, later: addresses of other parts of the text.
        leaf: the one parameter of the branch, where it is one.
        around: name and address of each table around the branch.
        wanted: the text that is searched for, and `match_count` the parameters that hold it.
        open_url: returns the address of a branch.
        more_url: of what follows the part of the tree that is shown.
    """

    files: Cut | None = None
    file: SourceFile | None = None
    page: Page | None = None
    mark: int | None = None
    size_bytes: int = 0
    earlier: str | None = None
    later: str | None = None
    tree: Branch | None = None
    leaf: Parameter | None = None
    at: str = ""
    around: Sequence[tuple[str, str]] = ()
    wanted: str | None = None
    match_count: int = 0
    open_url: Callable[[str], str] | None = None
    more_url: str | None = None


def _shown(
    form: str, configuration: RecordedConfiguration, evaluated: EvaluatedParameters | None
) -> ShownForm:
    if form == "files":
        return _files(configuration)
    if form == "ran":
        return _with_text(ShownForm(), printed(configuration, "ran"), lambda _: None)
    if evaluated is None:
        return ShownForm()
    if form == "expanded":
        return _with_text(ShownForm(), printed(configuration, "expanded"), lambda _: None)
    return _tree(evaluated.parameters, max(20, _LINES_OF_TREE >> 2 * tightness()))


def _tree(parameters: Sequence[Parameter], bears: int) -> ShownForm:
    """Return the branch that the address asks for.

    It has all parameters, or those that hold the text in the address.
    """
    at, wanted = asked("at") or "", asked("q")
    kept = inside(parameters, at)
    if not kept:
        raise NotFoundError(f"The configuration has no parameter {at}.")
    if wanted:
        kept = matching(kept, wanted)
    leaf = None
    if len(kept) == 1 and kept[0].path == at:
        leaf = kept[0]
    first = asked_number("from", least=0, most=10**9) or 0
    tree = branch(kept, at, bears=bears, first=first)
    more_url = None
    if tree.last < tree.total:
        more_url = here(**{"from": str(tree.last)}, piece=None)
    return ShownForm(
        tree=tree,
        leaf=leaf,
        at=at,
        around=_around(at),
        wanted=wanted,
        match_count=len(kept),
        open_url=lambda path: here(**_only("evaluated", at=path, q=wanted or "")),
        more_url=more_url,
    )


def _around(at: str) -> list[tuple[str, str]]:
    """Return (name, address) of each table around a path, the path itself the last."""
    tables = []
    for step in re.finditer(r"\.?\w+|\[\d+\]", at):
        path = at[: step.end()]
        tables.append((step[0].lstrip("."), here(**_only("evaluated", at=path))))
    return tables


def _piece(configuration: RecordedConfiguration, evaluated: EvaluatedParameters | None) -> Response:
    """Return a branch as the rows of a tree, for a page that opens it in its place."""
    if evaluated is None:
        raise NotFoundError("The configuration cannot be evaluated.")
    shown = _tree(evaluated.parameters, _LINES_OF_PIECE)
    place_of = _places(configuration.recorded.files or ())
    return make_response(
        render_template("configurations/_piece.html", place_of=place_of, **shown._asdict())
    )


class FileRow(NamedTuple):
    """A file of the configuration: its page, and the folder of the search path that it was in."""

    file: SourceFile
    is_here: bool
    url: str
    folder: str | None


def _files(configuration: RecordedConfiguration) -> ShownForm:
    """Return the table of files, and the text of one: that in the address, else the main one."""
    listed = configuration.recorded.files or []
    file = _chosen_file(listed, configuration.recorded.main)
    rows = []
    for listed_file in listed:
        rows.append(
            FileRow(
                file=listed_file,
                is_here=listed_file.sha256 in configuration.sources,
                url=here(**_only("files", file=listed_file.name)),
                folder=_folder(listed_file, configuration.recorded.search_path or []),
            )
        )
    shown = ShownForm(files=cut_rows("files", rows, _FILES), file=file)
    if file is None or file.sha256 not in configuration.sources:
        return shown
    names = {listed_file.name for listed_file in listed}

    def link(name: str) -> str | None:
        return here(**_only("files", file=name)) if name in names else None

    return _with_text(shown, source_of(configuration, file.name), link)


def _chosen_file(files: Sequence[SourceFile], main: str | None) -> SourceFile | None:
    """Return the file that the address names, else the main one, else the first.

    Raises:
        NotFoundError: the address names another one.
    """
    wanted = asked("file")
    for file in files:
        if file.name == (main if wanted is None else wanted):
            return file
    if wanted is not None:
        names = [file.name for file in files]
        raise NotFoundError(f"The configuration has no file {wanted}.", names)
    return files[0] if files else None


def _folder(file: SourceFile, search_path: Sequence[str]) -> str | None:
    """Return the folder of the search path in which a file was found, if the record names it."""
    if file.found_in is None or not 0 <= file.found_in < len(search_path):
        return None
    return search_path[file.found_in]


def _with_text(shown: ShownForm, data: bytes, link: Callable[[str], str | None]) -> ShownForm:
    """Return the shown form with the part of a text that the address asks for."""
    mark = asked_number("line", least=1, most=10**9)
    start = asked_number("from", least=1, most=10**9) or 1
    page: Page = page_of(data, start=start, mark=mark, link=link)
    earlier, later = None, None
    if page.first > 1:
        lines_back = max(_FEWEST_LINES_BACK, len(page.lines))
        earlier = _from_line(max(1, page.first - lines_back))
    if page.last < page.total:
        later = _from_line(page.last + 1)
    return shown._replace(page=page, mark=mark, size_bytes=len(data), earlier=earlier, later=later)


def _from_line(number: int) -> str:
    """Return the address of this page from a line of the text on."""
    return here(**{"from": str(number)}, line=None)
