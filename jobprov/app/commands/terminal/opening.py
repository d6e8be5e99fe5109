"""What commands share: options, what they open, and the two ways to print.

They open the service to ask, or the database and the archive.
"""

import json
import os
import pwd
import socket
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click
import msgspec

from jobprov.app.config import Settings, load_settings
from jobprov.provenance.errors import BadInputError, UnreachableError
from jobprov.provenance.lineage.sentences import name_in_path

if TYPE_CHECKING:
    from jobprov.app.wiring import Service

F = TypeVar("F", bound=Callable[..., Any])


def read_toml_or_json(file: Path) -> dict[str, object]:
    """Return the document in a file, JSON where its name ends so, else TOML.

    Raises:
        BadInputError: it cannot be read.
    """
    try:
        text = file.read_text(encoding="utf-8")
        document = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except (ValueError, UnicodeDecodeError) as problem:
        raise BadInputError(
            f"{file} cannot be read: {problem}.", {"file": [str(problem)]}
        ) from None
    if not isinstance(document, dict):
        raise BadInputError(f"{file} holds no object.", {"file": ["no object"]})
    return document


def file_name(given: str) -> str:
    """Return the name of a recorded file.

    Of a path or an address, as shells complete it and catalogs give it, its last part.
    """
    if name := name_in_path(given):
        return name
    raise click.BadParameter(f"{given!r} names a folder; name a file.")


class OutputFile(click.Path):
    """A file that a command writes as a whole, in place of one that is there.

    Only a plain file may be there: `--output /dev/null`, given by root, would remove the device.
    """

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """Return the path of the file."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if path.exists() and not path.is_file():
            self.fail(f"{path} is no plain file, and would be replaced by one.", param, ctx)
        return path


def listed_lines(file: TextIO) -> list[str]:
    """Return the lines of a file that names one thing a line, without those that are blank.

    Raises:
        BadInputError: it is not text.
    """
    try:
        return [line.strip() for line in file if line.strip()]
    except UnicodeDecodeError:
        reason = "it is not text in UTF-8; name a file with one name a line"
        raise BadInputError(f"{file.name} cannot be read: {reason}.", {"": [reason]}) from None


def json_option(function: F) -> F:
    """Add `--json`: the same answer for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")(
        function
    )


def url_option(function: F) -> F:
    """Add `--url`: the service to ask."""
    return click.option("--url", help="The service to ask; JOBPROV_URL by default.")(function)


def experiment_option(function: F) -> F:
    """Add `--experiment`, for names that several know."""
    return click.option("--experiment", help="Needed where several experiments know the name.")(
        function
    )


def option_with_default(
    name: str,
    kind: click.ParamType[Any],
    default: object,
    help_text: str | None = None,
    *,
    to: str | None = None,
) -> Callable[[F], F]:
    """Return what adds an option whose help shows its default.

    Args:
        name: the option, such as `--days`.
        kind: what it takes.
        default: its value where it is not given.
        help_text: what it is for.
        to: the argument of the command that gets it, where that has another name.
    """
    names = [name] if to is None else [name, to]
    return click.option(*names, type=kind, default=default, show_default=True, help=help_text)


def task_option(help_text: str) -> Callable[[F], F]:
    """Return what adds `--task`, or `--task-id`, as 0.1.0 has it in some commands."""
    return click.option("--task", "--task-id", "task_id", help=help_text)


_JOB_FILTERS = {
    "seed": click.option(
        "--seed", type=int, help="Jobs with a random engine that began with this seed, as drawn."
    ),
    "variable": click.option(
        "--variable",
        metavar="NAME=VALUE",
        help="Jobs with this environment variable, of those that decide physics; != and ~ go, too.",
    ),
    "checksum": click.option(
        "--checksum",
        metavar="[KIND:]VALUE",
        help="With --reads or --file: only jobs that saw the file with this checksum; the first "
        "letters do.",
    ),
    "task": click.option("--task", "task_id", help="Jobs of this task."),
    "campaign": click.option("--campaign", help="Jobs of this campaign."),
    "stage": click.option("--stage", help="Jobs of this stage."),
    "site": click.option("--site", help="Jobs at this site."),
    "host": click.option("--host", help="Jobs on this worker node."),
    "revision": click.option("--revision", help="Jobs that ran this commit."),
    "started_after": click.option(
        "--started-after", metavar="TIME", help="Jobs that started at or after this time."
    ),
    "started_before": click.option(
        "--started-before", metavar="TIME", help="Jobs that started before this time."
    ),
}


def job_filters(*names: str) -> Callable[[F], F]:
    """Return a decorator that adds options to choose jobs by, in the order of these names."""

    def add(function: F) -> F:
        # The option that is added last is listed first
        for name in reversed(names):
            function = _JOB_FILTERS[name](function)
        return function

    return add


def list_limit_option(function: F) -> F:
    """Add how many entries a list has at most."""
    option = click.option(
        "--limit",
        type=click.IntRange(1, 100_000),
        default=100,
        show_default=True,
        help="How many at most.",
    )
    return option(function)


def pair_options(function: F) -> F:
    """Add `--experiment` for two files, and an option for each file where these differ in it."""
    for letter in "ba":
        help_text = f"Of file {letter.upper()} alone, where the two are of different experiments."
        function = click.option(f"--experiment-{letter}", help=help_text)(function)
    return click.option("--experiment", help="Needed where several experiments know the names.")(
        function
    )


def data_option(function: F) -> F:
    """Add `--data`: the folder of the service."""
    return click.option(
        "--data", type=click.Path(), help="Folder of the service; JOBPROV_DATA by default."
    )(function)


def make_data_folder(settings: Settings) -> None:
    """Make the service's folder, where it is not there yet.

    Raises:
        UnreachableError: it cannot be made.
    """
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise UnreachableError(
            f"The data folder {settings.data} cannot be made: {problem.strerror}. Name another "
            "with --data or JOBPROV_DATA."
        ) from None


def settings_with(**given: object) -> Settings:
    """Return the settings, those given on the command line first.

    `host=None` leaves JOBPROV_HOST as it is.
    """
    named = {}
    for name, value in given.items():
        if value is not None:
            named[f"JOBPROV_{name.upper()}"] = str(value)
    return load_settings(named)


@contextmanager
def opened_service(settings: Settings, *, is_tied: bool = True) -> "Iterator[Service]":
    """Yield the service's own database and archive, for operators.

    Args:
        settings: where they are.
        is_tied: whether the archive must be the database's own.

    Raises:
        UnreachableError: the database is not there, or its schema is of another version.
        ConflictError: the archive is not the one that the database was written with.
    """
    from sqlalchemy.engine import make_url  # noqa: PLC0415

    # Commands that only ask over HTTP do without
    from jobprov.app.wiring import open_service  # noqa: PLC0415
    from jobprov.provenance.db.upkeep.migrating import is_current  # noqa: PLC0415
    from jobprov.provenance.errors import UnreachableError  # noqa: PLC0415
    from jobprov.provenance.services.upkeep.archive_identity import tie_archive  # noqa: PLC0415
    from jobprov.provenance.services.writing import ORIGIN, Origin  # noqa: PLC0415

    address = make_url(settings.database_url)
    if address.get_backend_name() == "sqlite" and not Path(address.database or "").is_file():
        raise UnreachableError(
            f"There is no database {address.database}: name the folder of the service "
            "(JOBPROV_DATA or --data), or have `jobprov serve` or `jobprov migrate` make one there."
        )
    if not is_current(settings.database_url):
        place = address.render_as_string(hide_password=True)
        raise UnreachableError(
            f"The database {place} has no schema of this version yet: run `jobprov migrate`, or "
            "name the folder of the service (JOBPROV_DATA or --data)."
        )
    service = open_service(settings)
    origin = ORIGIN.set(Origin("command", socket.gethostname(), user=_login_name()))
    try:
        if is_tied:
            tie_archive(service.database, service.store)
        yield service
    finally:
        ORIGIN.reset(origin)
        service.close()


def opens_service(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--data` and `--json`; the command gets the `service` of that folder, opened."""

    @data_option
    @json_option
    @wraps(command)
    def open_and_run(*, data: str | None, **given: Any) -> None:
        with opened_service(settings_with(data=data)) as service:
            command(service=service, **given)

    return open_and_run


def _login_name() -> str:
    """Return who gives this command: by the system, as the environment may say anything."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"user {os.getuid()}"


def emit(document: Any, text: str, *, as_json: bool) -> None:
    """Print an answer: JSON for programs, text for people."""
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2))
    else:
        click.echo(text)
