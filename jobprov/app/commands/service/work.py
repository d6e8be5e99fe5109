"""`jobprov work`: does the background work that waits, as `jobprov serve` does beside serving."""

import click

from jobprov.app.commands.terminal.opening import (
    data_option,
    emit,
    json_option,
    opened_service,
    settings_with,
)
from jobprov.provenance.db.queries.work.queue import waiting_items
from jobprov.provenance.lineage.words import counted, number
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.recording.rederivation import enqueue_derivation
from jobprov.provenance.services.work.queue import drain


@click.command()
@data_option
@json_option
def work(*, data: str | None, as_json: bool) -> None:
    """Do the background work that is due, then list what could not be done and why.

    It resolves code, and looks at jobs again that waited for something.
    """
    settings = settings_with(data=data)
    with opened_service(settings) as service:
        parts = service.parts()
        enqueue_derivation(parts)
        done = drain(parts, HANDLERS)
        with service.reading() as connection:
            waiting = waiting_items(connection)
    lines = [f"{counted(done, 'piece')} of background work done, {number(len(waiting))} waiting."]
    for item in waiting:
        problem = item.last_error or "not tried yet"
        lines.append(f"{item.kind} {item.key[:20]}: {problem}")
    emit({"done": done, "waiting": waiting}, "\n".join(lines), as_json=as_json)


COMMANDS = {"work": work}
EXAMPLES = {
    "work": ("jobprov work",),
}
