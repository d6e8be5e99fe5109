"""`jobprov trail`: who changed what, when and from where.

It reads the database directly, as only operators can.
"""

import click

from jobprov.app.commands.terminal.opening import (
    data_option,
    emit,
    json_option,
    opened_service,
    settings_with,
)
from jobprov.app.commands.terminal.tables import table
from jobprov.provenance.answers.trail import ACTS, Act
from jobprov.provenance.services.ledger.trail import show_trail


@click.command()
@click.option("--experiment", required=True, help="Whose trail.")
@click.option(
    "--kind",
    type=click.Choice(ACTS),
    metavar="KIND",
    help="Only what was done of this kind, such as waiver or token.",
)
@click.option(
    "--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="How many at most."
)
@click.option("--cursor", help="`next` of the answer before.")
@data_option
@json_option
def trail(
    *,
    experiment: str,
    kind: str | None,
    limit: int,
    cursor: str | None,
    data: str | None,
    as_json: bool,
) -> None:
    """Show what was done in an experiment, newest first: by whom, through what and from where.

    It covers waivers, retries, rules, verdicts, erasures, tokens and all other declarations.
    """
    with opened_service(settings_with(data=data)) as service, service.reading() as connection:
        shown = show_trail(
            connection, service.store, experiment, kind=kind, limit=limit, cursor=cursor
        )
    titles = {"at": "WHEN", "kind": "KIND", "about": "ABOUT", "by": "BY", "from": "FROM"}
    lines = table([_row(act) for act in shown.acts], titles)
    text = lines if shown.acts else f"Nothing was changed in {experiment}."
    if shown.next:
        text += f"\nThere are more: --cursor {shown.next}"
    emit(shown, text, as_json=as_json)


def _row(act: Act) -> dict[str, str]:
    said = " ".join(word for word in (act.who, act.why) if word)
    origin = " ".join(word for word in (act.through, act.user, act.address, act.request) if word)
    return {
        "at": f"{act.at:%Y-%m-%d %H:%M:%S} UTC",
        "kind": act.kind,
        "about": act.about,
        "by": act.submitter or said or "-",
        "from": origin or "-",
    }


COMMANDS = {"trail": trail}
EXAMPLES = {
    "trail": ("jobprov trail --experiment toyexp --limit 50",),
}
