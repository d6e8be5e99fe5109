"""`jobprov work`: does the background work that waits, as `jobprov serve` does beside serving."""

import click

from jobprov.app.commands.terminal.opening import (
    data_option,
    emit,
    json_option,
    opened_service,
    settings_with,
)
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.recording.rederivation import enqueue_derivation
from jobprov.provenance.services.work.queue import Parts, drain, waiting_work


@click.command()
@data_option
@json_option
def work(*, data: str | None, as_json: bool) -> None:
    """Do what is due (resolve code, look at waiting jobs again), then say what could not be done and why."""
    settings = settings_with(data=data)
    with opened_service(settings) as service:
        parts = Parts(service.database, service.writer, service.store, settings.git_mirrors)
        enqueue_derivation(parts)
        done = drain(parts, HANDLERS)
        with service.reading() as connection:
            waiting = waiting_work(connection)
    lines = [f"{done} done, {len(waiting)} waiting."]
    lines += [
        f"{item['kind']} {item['key'][:20]}: {item['last_error'] or 'not tried yet'}"
        for item in waiting
    ]
    emit({"done": done, "waiting": waiting}, "\n".join(lines), as_json=as_json)


COMMANDS = {"work": work}
