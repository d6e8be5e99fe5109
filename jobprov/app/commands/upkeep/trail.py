"""`jobprov trail`: who changed what, when and from where.

It reads the database directly, as only operators can.
"""

from typing import TYPE_CHECKING

import click

from jobprov.app.commands.terminal.opening import emit, opens_service, option_with_default
from jobprov.app.commands.terminal.tables import Columns, table
from jobprov.provenance.answers.trail import ACTS, Act
from jobprov.provenance.services.ledger.trail import show_trail
from jobprov.provenance.times import second_text

if TYPE_CHECKING:
    from jobprov.app.wiring import Service


@click.command()
@click.option("--experiment", required=True, help="Whose trail.")
@click.option(
    "--kind",
    type=click.Choice(ACTS),
    metavar="KIND",
    help="Only what was done of this kind, such as waiver or token.",
)
@option_with_default("--limit", click.IntRange(1, 500), 50, "How many at most.")
@click.option("--cursor", help="`next` of the answer before.")
@opens_service
def trail(
    *,
    experiment: str,
    kind: str | None,
    limit: int,
    cursor: str | None,
    service: "Service",
    as_json: bool,
) -> None:
    """Show what was done in an experiment, newest first: by whom, through what and from where.

    It covers waivers, retries, rules, verdicts, erasures, tokens and all other declarations.
    """
    with service.reading() as connection:
        shown = show_trail(
            connection, service.store, experiment, kind=kind, limit=limit, cursor=cursor
        )
    text = f"Nothing was changed in {experiment}."
    if shown.acts:
        text = table(shown.acts, _COLUMNS)
    if shown.next:
        text += f"\nThere are more: --cursor {shown.next}"
    emit(shown, text, as_json=as_json)


def _words(*words: str | None) -> str:
    return " ".join(word for word in words if word)


_COLUMNS: Columns[Act] = {
    "WHEN": lambda act: second_text(act.at),
    "KIND": lambda act: act.kind,
    "ABOUT": lambda act: act.about,
    "BY": lambda act: act.submitter or _words(act.who, act.why) or "-",
    "FROM": lambda act: _words(act.through, act.user, act.address, act.request) or "-",
}


COMMANDS = {"trail": trail}
EXAMPLES = {
    "trail": ("jobprov trail --experiment toyexp --limit 50",),
}
