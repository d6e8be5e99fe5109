"""What all pages share: the blueprint, the filters, the stylesheet's address.

It also says how a page is answered.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from flask import (
    Blueprint,
    Response,
    current_app,
    g,
    make_response,
    render_template,
    request,
    url_for,
)
from jinja2 import Environment, StrictUndefined
from marshmallow import ValidationError
from marshmallow.fields import Boolean
from werkzeug.exceptions import NotFound

from jobprov.app.access.visitors import FORM_FIELD, check_form, is_login_on, visitor
from jobprov.app.command_lines import command_line
from jobprov.app.csv_rows import CONTENT_TYPE, csv_lines
from jobprov.app.indentation import WithoutIndentation
from jobprov.app.web.frame import formats, markup
from jobprov.app.web.frame.cuts import address, tighten
from jobprov.app.web.frame.guard import (
    check_reading,
    form_refusal,
    note_visitor,
    sees_trail,
    token_field,
    without_copies,
)
from jobprov.app.web.frame.terms import explained, level, notes, term
from jobprov.app.wiring import get_service
from jobprov.provenance.answers import addresses
from jobprov.provenance.answers.names import short_job
from jobprov.provenance.db.queries.tasks.tasks import find_tasks
from jobprov.provenance.errors import BadInputError

_FOLDER = Path(__file__).parents[2]
_STATIC = _FOLDER / "static"
SELECTION_PAGE = "/jobs/selection"
"""What leads on with the jobs that are ticked on a list."""
_API = "/api/v1"
_STEPS = ("pages.login_done", "pages.logout_done")
"""Pages that nobody comes back to."""
PAGE_BYTES = 80_000
_TIGHTEST = 3
_FEWEST = 8
_LIVE_SECONDS = 15


class ListPage(Protocol):
    """What a page of a list shows, a named tuple; `twin` is as in `answer`."""

    @property
    def twin(self) -> str:
        """The address of the same data as JSON, below /api/v1."""

    def _asdict(self) -> dict[str, Any]: ...


def _check_path() -> None:
    """Refuse an address that names what cannot be.

    Raises:
        NotFound: a NUL is in it, which no name holds and PostgreSQL takes not at all.
    """
    if "\0" in request.path:
        raise NotFound


def _add_filters(environment: Environment) -> None:
    environment.finalize = markup.without_turns
    environment.undefined = StrictUndefined
    environment.trim_blocks = True
    environment.add_extension(WithoutIndentation)
    names_of_formats = (
        "text", "number", "percent", "size", "duration", "period", "rate", "day", "counted",
        "short", "signal_name", "exit_code", "amount", "shown_state",
    )  # fmt: skip
    environment.filters.update({name: getattr(formats, name) for name in names_of_formats})
    environment.filters.update(
        time=markup.time_tag,
        time_to_second=markup.second_tag,
        mark=markup.mark,
        digest=markup.digest,
        cut=markup.cut,
        command=markup.command,
        ticked=markup.ticked,
        whole_dates=markup.whole_dates,
        short_job=short_job,
        level=level,
        explained=explained,
    )
    names_of_addresses = (
        "gap_help", "jobs_list", "arrivals_page", "campaign_lineage_page", "campaign_page",
        "difference_page", "file_page", "job_page", "log_page", "manual_page", "proofs_page",
        "recipe_page", "report_page", "task_page", "timeline_page",
    )  # fmt: skip
    environment.globals.update({name: getattr(addresses, name) for name in names_of_addresses})
    environment.globals.update(
        asset=asset,
        command_line=command_line,
        address=address,
        here=here,
        experiment_asked=experiment_asked,
        dash=formats.MISSING,
        form_field=FORM_FIELD,
        is_login_on=is_login_on,
        visitor=visitor,
        sees_trail=sees_trail,
        token_field=token_field,
        form_refusal=form_refusal,
        term=term,
        notes=notes,
        narrowed=markup.narrowed,
        state_icon=markup.state_icon,
        log_in_here=log_in_here,
    )


pages = Blueprint(
    "pages",
    __name__,
    template_folder=str(_FOLDER / "templates"),
    static_folder=str(_STATIC),
    static_url_path="/static",
)
"""The pages: each module of them puts its own here."""
pages.before_request(_check_path)
pages.before_request(check_reading)
pages.before_request(check_form)
pages.before_request(note_visitor)
pages.after_request(without_copies)
pages.record_once(lambda state: _add_filters(state.app.jinja_env))


def asset(name: str) -> str:
    """Return the address of a static file, which changes when the file does."""
    return url_for("pages.static", filename=name, v=_version(name))


_versions: dict[tuple[str, int], str] = {}


def _version(name: str) -> str:
    file = _STATIC / name
    key = (name, file.stat().st_mtime_ns)
    if key not in _versions:
        _versions[key] = hashlib.sha256(file.read_bytes()).hexdigest()[:10]
    return _versions[key]


def answer(
    template: str, *, twin: str | None = None, is_live: bool = False, **values: Any
) -> Response:
    """Return a page of less than 80 kB.

    Names that escaping makes many times longer leave room for fewer rows, and shorter ones.

    Args:
        template: its template.
        twin: the address of the same data as JSON, below /api/v1, query included.
        is_live: what it shows is under way, so it brings itself up to date.
        values: for the template.
    """
    values["twin"] = None if twin is None else _API + twin
    values["live_seconds"] = (
        current_app.config.get("LIVE_SECONDS", _LIVE_SECONDS) if is_live else None
    )
    text = render_template(template, **values)
    for _ in range(_TIGHTEST):
        if _fits(text):
            break
        tighten()
        text = render_template(template, **values)
    return make_response(text)


def answer_rows(template: str, rows: int, page_of: Callable[[int], ListPage]) -> Response:
    """Return a page of a list that goes on elsewhere, with fewer rows before their words are cut.

    It shows half of them, then a quarter.

    Args:
        template: its template.
        rows: how many at most.
        page_of: what the template shows of so many rows.
    """
    for count in (rows, rows // 2, rows // 4):
        if count < _FEWEST:
            break
        page = page_of(count)
        values = {**page._asdict(), "twin": _API + page.twin, "live_seconds": None}
        text = render_template(template, **values)
        if _fits(text):
            return make_response(text)
    fewest = min(rows, max(rows // 4, _FEWEST))
    return answer(template, **page_of(fewest)._asdict())


def _fits(text: str) -> bool:
    return len(text.encode()) <= PAGE_BYTES


def table(name: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Response:
    """Return rows as CSV to save as `NAME.csv`."""
    csv = Response(b"".join(csv_lines(columns, rows)), content_type=CONTENT_TYPE)
    csv.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return csv


def filled_in(name: str, value: str) -> str:
    """Return what a person wrote into a field that must be filled in, such as who decides and why.

    Raises:
        BadInputError: nothing but spaces.
    """
    if not value.strip():
        raise BadInputError.of_field(name, "fill it in", "missing")
    return value.strip()


def experiment_asked() -> str | None:
    """Return the experiment in the address, None where it names none."""
    return asked("experiment")


def asked(name: str) -> str | None:
    """Return a word of the query, None where it is absent, empty or cannot be a name.

    Raises:
        BadInputError: it holds a NUL, which no name can; or the address says it twice.
    """
    if len(request.args.getlist(name)) > 1:
        raise BadInputError.of_field(name, "given more than once")
    value = request.args.get(name, "")
    if "\0" in value:
        raise BadInputError(f"{name}: a NUL is in it.", {name: ["holds a NUL"]})
    if name == "task_id":
        return named_task(value) or None
    return value.strip() or None


def named_task(given: str) -> str:
    """Return the id of a task, without spaces around it unless a task is named with them.

    Who pastes an id brings spaces along; but some tasks are called so, and links name them.
    """
    bare = given.strip()
    if bare == given or "\0" in given:
        return bare
    with get_service().reading() as connection:
        is_named_so = bool(find_tasks(connection, given, None))
    return given if is_named_so else bare


def asked_file() -> dict[str, str | None]:
    """Return which file of a name the address means.

    It has `experiment` and `namespace`, which is '' where the address says that there is none.
    """
    namespace = asked("namespace")
    return {
        "experiment": asked("experiment"),
        "namespace": "" if namespace is None and "namespace" in request.args else namespace,
    }


def asked_pair() -> dict[str, str | None]:
    """Return the experiments of the two files in the address."""
    return {name: asked(name) for name in ("experiment", "experiment_a", "experiment_b")}


def asked_flag(name: str) -> bool:
    """Return a true or false of the address, as the API reads it; absent or empty is false.

    Raises:
        BadInputError: it is neither true nor false.
    """
    value = asked(name)
    try:
        return value is not None and bool(Boolean().deserialize(value))
    except ValidationError:
        raise BadInputError.of_field(name, "neither true nor false") from None


def asked_number(name: str, *, least: int, most: int) -> int | None:
    """Return a whole number of the query, None where it is absent.

    Raises:
        BadInputError: it is not a whole number, or out of range.
    """
    value = asked(name)
    if value is None:
        return None
    if not (
        value.isascii()
        and value.isdigit()
        and len(value) < 19  # noqa: PLR2004
        and least <= int(value) <= most
    ):
        wanted = f"a number from {least} to {most}"
        raise BadInputError(f"{name}: {value[:40]!r} is not {wanted}.", {name: [wanted]})
    return int(value)


def log_in_here(back: str | None = None) -> str | None:
    """Return the address at which a visitor logs in and comes back to this page, or to another.

    A page may name another to come back to by `come_back_to`. It is None where they log in
    elsewhere, as before a reverse proxy.
    """
    login = get_service().login
    if login is None or login.provider is None:
        return None
    back = back or g.get("come_back_to")
    is_page = request.method == "GET" and request.endpoint not in _STEPS
    # as it was asked for: what is quoted in a name stays quoted
    this_page = request.environ.get("RAW_URI") or here()
    return addresses.log_in_page(back or (this_page if is_page else "/"))


def come_back_to(page: str) -> None:
    """Have whoever logs in from what is answered now come back to a page of this site."""
    g.come_back_to = page


def here(**changes: str | None) -> str:
    """Return the address of this page with some words of its query changed."""
    return address(request.path, {**request.args.to_dict(), **changes})


def first_page() -> str | None:
    """Return the address of the first page of a list; None where this is it."""
    return here(cursor=None) if asked("cursor") else None


def next_page(cursor: str | None) -> str | None:
    """Return the address of the next page of a list; None where this is the last."""
    return here(cursor=cursor) if cursor else None
