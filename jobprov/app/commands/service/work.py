"""`jobprov work`: does the background work that waits, as `jobprov serve` does beside serving."""

from typing import TYPE_CHECKING

import click

from jobprov.app.commands.terminal.opening import emit, opens_service
from jobprov.provenance.db.queries.work.queue import waiting_items
from jobprov.provenance.lineage.words import counted, number
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.recording.rederivation import enqueue_derivation
from jobprov.provenance.services.work.queue import drain

if TYPE_CHECKING:
    from jobprov.app.wiring import Service


@click.command()
@opens_service
def work(*, service: "Service", as_json: bool) -> None:
    """Do the background work that is due, then list what could not be done and why.

    It resolves code, and looks at jobs again that waited for something.
    """
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
