"""`jobprov dead-letter`: records that came with a token and could not be decoded."""

import sys
from base64 import b64encode
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from jobprov.app.commands.terminal.groups import Group
from jobprov.app.commands.terminal.opening import (
    data_option,
    emit,
    json_option,
    opened_service,
    settings_with,
)
from jobprov.app.commands.terminal.tables import Columns, table
from jobprov.provenance.db.queries.recording.dead_letters import Letter, list_letters
from jobprov.provenance.errors import ProvenanceError
from jobprov.provenance.services.recording.dead_letters import read_letter, replay_letter
from jobprov.provenance.services.recording.submissions import Outcome

if TYPE_CHECKING:
    from jobprov.app.wiring import Service


class TakenLetter(Struct):
    """A letter that is a record now, and how that changed what is known of its job."""

    number: int
    job_id: str
    change: str


class RefusedLetter(Struct):
    """A letter that stays, and why."""

    number: int
    reason: str


_COLUMNS: Columns[Letter] = {
    "NUMBER": lambda letter: letter.number,
    "CAME": lambda letter: letter.received_at,
    "EXPERIMENT": lambda letter: letter.experiment,
    "TICKET OF": lambda letter: letter.task_id,
    "JOB": lambda letter: letter.job_id,
    "BYTES": lambda letter: letter.size_bytes,
    "WHY": lambda letter: letter.reason,
}


@click.group("dead-letter", cls=Group)
def dead_letter() -> None:
    """List, show and replay records that could not be decoded."""


@dead_letter.command("list")
@data_option
@json_option
def list_them(*, data: str | None, as_json: bool) -> None:
    """List the letters, oldest first, with the reason of refusal."""
    with opened_service(settings_with(data=data)) as service, service.reading() as connection:
        letters = list_letters(connection)
    text = table(letters, _COLUMNS) if letters else "There are no dead letters."
    emit([letter._asdict() for letter in letters], text, as_json=as_json)


@dead_letter.command()
@click.argument("number", type=click.IntRange(1, 2**62))
@data_option
@json_option
def show(*, number: int, data: str | None, as_json: bool) -> None:
    """Print the exact bytes of a letter; as JSON in base64, since they may be no text."""
    with opened_service(settings_with(data=data)) as service, service.reading() as connection:
        body = read_letter(connection, number)
    if as_json:
        letter = {"number": number, "size_bytes": len(body), "base64": b64encode(body).decode()}
        emit(letter, "", as_json=True)
    else:
        # As bytes: click would have them be text
        sys.stdout.buffer.write(body)


@dead_letter.command()
@click.argument("numbers", type=click.IntRange(1, 2**62), nargs=-1)
@data_option
@json_option
def replay(*, numbers: tuple[int, ...], data: str | None, as_json: bool) -> None:
    """Take letters as if they came now, all of them where no number is given.

    Those that still cannot be read stay.
    """
    taken: list[TakenLetter] = []
    refused: list[RefusedLetter] = []
    with opened_service(settings_with(data=data)) as service:
        if not numbers:
            with service.reading() as connection:
                numbers = tuple(letter.number for letter in list_letters(connection))
        for number in numbers:
            try:
                outcome = _replay(service, number)
            except ProvenanceError as problem:
                refused.append(RefusedLetter(number, str(problem)))
                click.echo(f"{number} stays: {problem}", err=True)
            else:
                taken.append(TakenLetter(number, outcome.job_id, outcome.change))
    lines = []
    for letter in taken:
        lines.append(f"{letter.number} is job {letter.job_id}: {letter.change}")
    if lines or as_json:
        emit({"taken": taken, "refused": refused}, "\n".join(lines), as_json=as_json)
    if refused:
        sys.exit(1)


def _replay(service: "Service", number: int) -> Outcome:
    return service.write(lambda writing: replay_letter(writing, number))


COMMANDS = {"dead-letter": dead_letter}
EXAMPLES = {
    "dead-letter list": ("jobprov dead-letter list",),
    "dead-letter show": ("jobprov dead-letter show 7",),
    "dead-letter replay": ("jobprov dead-letter replay 7 8",),
}
