"""`jobprov dead-letter`: records that came with a token and could not be decoded."""

import sys
from base64 import b64encode
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from jobprov.app.commands.terminal.groups import Group
from jobprov.app.commands.terminal.opening import emit, list_limit_option, opens_service
from jobprov.app.commands.terminal.tables import Columns, table
from jobprov.provenance.db.changes.recording import remove_letters
from jobprov.provenance.db.queries.recording.dead_letters import (
    Letter,
    letter_numbers,
    list_letters,
    numbers_among,
)
from jobprov.provenance.errors import NotFoundError, ProvenanceError, RecordError
from jobprov.provenance.lineage.words import counted
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


_experiment_option = click.option("--experiment", help="Letters that came with its tokens.")
_numbers_argument = click.argument("numbers", type=click.IntRange(1, 2**62), nargs=-1)


@click.group("dead-letter", cls=Group)
def dead_letter() -> None:
    """List, show, replay and remove records that could not be decoded."""


@dead_letter.command("list")
@_experiment_option
@list_limit_option
@opens_service
def list_them(*, experiment: str | None, limit: int, service: "Service", as_json: bool) -> None:
    """List the letters, oldest first, with the reason of refusal."""
    with service.reading() as connection:
        letters = list_letters(connection, experiment, limit + 1)
    text = table(letters[:limit], _COLUMNS) if letters else "There are no dead letters."
    if len(letters) > limit:
        text += "\n... and more; --limit shows them."
    emit([letter._asdict() for letter in letters[:limit]], text, as_json=as_json)


@dead_letter.command()
@click.argument("number", type=click.IntRange(1, 2**62))
@opens_service
def show(*, number: int, service: "Service", as_json: bool) -> None:
    """Print the exact bytes of a letter; as JSON in base64, since they may be no text."""
    with service.reading() as connection:
        body = read_letter(connection, number)
    if as_json:
        letter = {"number": number, "size_bytes": len(body), "base64": b64encode(body).decode()}
        emit(letter, "", as_json=True)
    else:
        # As bytes: click would have them be text
        sys.stdout.buffer.write(body)


@dead_letter.command()
@_numbers_argument
@_experiment_option
@opens_service
def replay(
    *, numbers: tuple[int, ...], experiment: str | None, service: "Service", as_json: bool
) -> None:
    """Take letters as if they came now, all of them where no number is given.

    Those that still cannot be read stay. A replay changes no byte of them: to correct one, write it
    into a file (show), correct it there, send it (jobprov record), and remove the letter.
    """
    taken: list[TakenLetter] = []
    refused: list[RefusedLetter] = []
    wrong: list[int] = []
    for number in _chosen(service, numbers, experiment):
        try:
            outcome = _replay(service, number)
        except ProvenanceError as problem:
            refused.append(RefusedLetter(number, str(problem)))
            if isinstance(problem, RecordError):
                wrong.append(number)
            click.echo(f"{number} stays: {problem}", err=True)
        else:
            taken.append(TakenLetter(number, outcome.job_id, outcome.change))
    lines = []
    for letter in taken:
        lines.append(f"{letter.number} is job {letter.job_id}: {letter.change}")
    if lines or as_json:
        emit({"taken": taken, "refused": refused}, "\n".join(lines), as_json=as_json)
    if wrong:
        click.echo(_way_out(wrong[0]), err=True)
    if refused:
        sys.exit(1)


@dead_letter.command()
@_numbers_argument
@_experiment_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@opens_service
def remove(
    *,
    numbers: tuple[int, ...],
    experiment: str | None,
    yes: bool,
    service: "Service",
    as_json: bool,
) -> None:
    """Remove letters that nobody will ever need, all of them where no number is given.

    What they hold is lost.
    """
    chosen = _chosen(service, numbers, experiment)
    if chosen and not yes:
        click.confirm(
            f"Remove {counted(len(chosen), 'dead letter')}? This cannot be undone.",
            abort=True,
            err=as_json,
        )
    service.write(lambda writing: remove_letters(writing.connection, chosen))
    emit({"removed": chosen}, f"{counted(len(chosen), 'dead letter')} removed.", as_json=as_json)


def _chosen(service: "Service", numbers: tuple[int, ...], experiment: str | None) -> list[int]:
    """Return the given numbers, or those of all letters or of an experiment's.

    Raises:
        NotFoundError: there is no letter of a number that was given.
    """
    with service.reading() as connection:
        if not numbers:
            return letter_numbers(connection, experiment)
        unknown = set(numbers) - numbers_among(connection, numbers, experiment)
    if unknown:
        name = str(min(unknown)) if experiment is None else f"{min(unknown)} of {experiment}"
        raise NotFoundError(
            f"There is no dead letter {name}; `jobprov dead-letter list` shows them."
        )
    return sorted(set(numbers))


def _way_out(number: int) -> str:
    """Return how a letter is taken that is wrong itself, such as in the name of its experiment."""
    return (
        "Where the record itself is wrong, correct it and send it: "
        f"`jobprov dead-letter show {number} > record.json`, correct it there, "
        f"`jobprov record record.json`, `jobprov dead-letter remove {number}`."
    )


def _replay(service: "Service", number: int) -> Outcome:
    return service.write(lambda writing: replay_letter(writing, number))


COMMANDS = {"dead-letter": dead_letter}
EXAMPLES = {
    "dead-letter list": ("jobprov dead-letter list",),
    "dead-letter show": ("jobprov dead-letter show 7",),
    "dead-letter replay": ("jobprov dead-letter replay 7 8",),
    "dead-letter remove": (
        "jobprov dead-letter remove 7",
        "jobprov dead-letter remove --experiment nova",
    ),
}
