"""`jobprov witness`: report to the service what the batch system saw of jobs.

It reports jobs whether their hook did or not.
"""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import click

from jobprov.app.commands.terminal.asking import client_for, client_of, token_of
from jobprov.app.commands.terminal.opening import (
    emit,
    json_option,
    option_with_default,
    settings_with,
    url_option,
)
from jobprov.app.config import Settings
from jobprov.provenance.capture.files.hashing import Clock
from jobprov.provenance.capture.sending.delivery import deliver
from jobprov.provenance.client import Client
from jobprov.provenance.db.witness_state import WitnessState, stamp_of
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.launchers.condor.ads import Ad, read_ads
from jobprov.provenance.launchers.condor.attempts import Collection, Source
from jobprov.provenance.launchers.condor.events import attempts_of, read_events
from jobprov.provenance.launchers.condor.tools import (
    NoEpochHistoryError,
    ask_condor,
    ask_running,
)
from jobprov.provenance.lineage.words import counted
from jobprov.provenance.services.agents.witness import (
    Deliver,
    Report,
    ReportedQueue,
    WitnessRun,
    report_queues,
    witness_batch,
)

_FILE = click.Path(dir_okay=False, allow_dash=True, path_type=Path)
_STDIN = Path("-")
_ENTRY_SECONDS = 60.0
_LOOK_SETTLE_SECONDS = 5
_NO_EPOCHS = (
    "The schedd keeps no epoch history: of a job that began more than once, only the last attempt "
    "is seen. With JOB_EPOCH_HISTORY in its configuration it keeps all."
)
_MOST_REFUSED = 20


class WitnessOptions(NamedTuple):
    """What `jobprov witness` is asked to do; each option says what it is for.

    Attributes:
        epochs, history, queue, events: files to read in place of asking HTCondor.
    """

    epochs: tuple[Path, ...]
    history: tuple[Path, ...]
    queue: tuple[Path, ...]
    events: tuple[Path, ...]
    schedd: str | None
    experiment: str | None
    days: float
    overlap_seconds: int
    settle_seconds: int
    limit: int
    with_logs: bool
    with_running: bool

    def files(self) -> dict[Source, tuple[Path, ...]]:
        """Return the files by their kind; kinds without a file are left out."""
        given: dict[Source, tuple[Path, ...]] = {
            "epochs": self.epochs,
            "history": self.history,
            "queue": self.queue,
            "events": self.events,
        }
        return {source: paths for source, paths in given.items() if paths}


@click.command()
@click.option(
    "--epochs",
    multiple=True,
    type=_FILE,
    help="Output of `condor_history -epochs -json`, or the file itself.",
)
@click.option(
    "--history",
    multiple=True,
    type=_FILE,
    help="Output of `condor_history -json`, or the file itself.",
)
@click.option("--queue", multiple=True, type=_FILE, help="Output of `condor_q -json`: held jobs.")
@click.option(
    "--event-log",
    "events",
    multiple=True,
    type=_FILE,
    help="User event log (`log =` of a submit file).",
)
@click.option(
    "--schedd", help="Name of the schedd: to ask, and for event logs that do not name it."
)
@click.option("--experiment", help="Only jobs of this experiment, and jobs that name none.")
@click.option(
    "--state",
    "state_file",
    type=_FILE,
    help="File that remembers what was reported; witness.db in JOBPROV_DATA by default.",
)
@option_with_default("--days", click.FloatRange(0, 3650), 7, "How far back a run looks at most.")
@option_with_default(
    "--overlap-seconds", click.IntRange(0), 600, "How far back each run looks again."
)
@option_with_default("--settle-seconds", click.IntRange(0), 60, "Leave out what ended just now.")
@option_with_default("--limit", click.IntRange(1), 20_000, "Attempts a run at most.")
@click.option(
    "--logs/--no-logs",
    "with_logs",
    default=True,
    help="Send output and event logs of jobs that did not succeed.",
)
@click.option(
    "--running/--no-running",
    "with_running",
    default=True,
    help="Report what runs and waits, too; only where no files are given.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be reported.")
@url_option
@json_option
def witness(
    *, state_file: Path | None, url: str | None, dry_run: bool, as_json: bool, **given: Any
) -> None:
    """Report what the batch system saw of jobs, including killed and lost ones that never reported.

    Without files, condor_history and condor_q of this machine are asked, and what runs and waits is
    reported, too. Meant for cron: each run goes on where the last one stopped, and two at once do
    not collide.
    """
    options = WitnessOptions(**given)
    run = WitnessRun(
        now=int(time.time()),
        experiment=options.experiment,
        settle_seconds=options.settle_seconds,
        limit=options.limit,
        with_logs=options.with_logs,
        deliver=_deliver_to(settings_with(url=url)),
    )
    client = None if dry_run else client_for(url)
    files = options.files()
    collection = Collection()
    stamps: list[tuple[Path, str]] = []
    queues: list[ReportedQueue] = []
    with WitnessState(state_file or Path(settings_with().data) / "witness.db") as state:
        if files:
            stamps = _read_files(collection, state, files, options.schedd)
        else:
            window = Window(options.schedd, options.days, options.overlap_seconds)
            _ask(collection, state, window, run.now)
        report = witness_batch(client, collection, state, run)
        if not dry_run:
            _remember(state, report, stamps)
        if options.with_running and not files:
            queues = _report_queues(client, state, options.experiment, options.schedd)
    sentences = [_sentences(report, collection)]
    sentences += [_queue_sentence(queue) for queue in queues]
    document = {**_document(report, collection), "queues": queues}
    emit(document, "\n".join(sentences), as_json=as_json)
    is_refused = bool(report.refused) or any(queue.problem for queue in queues)
    sys.exit(int(is_refused))


class Window(NamedTuple):
    """What a run asks HTCondor for.

    Attributes:
        schedd: its name, where it is not this machine's own.
        days: how far back it looks at most.
        overlap_seconds: how far before the end of the last run it looks again.
    """

    schedd: str | None = None
    days: float = 7
    overlap_seconds: int = 600


def look(
    settings: Settings, state_file: Path, *, experiment: str, schedd: str | None = None
) -> Report:
    """Report to the service what HTCondor saw of an experiment's jobs since the last look.

    What runs and waits is reported, too, to the service of the settings. Return what was done.

    Raises:
        UnreachableError: HTCondor or the service does not answer.
    """
    run = WitnessRun(
        int(time.time()), experiment, _LOOK_SETTLE_SECONDS, deliver=_deliver_to(settings)
    )
    client = client_of(settings)
    collection = Collection()
    with WitnessState(state_file) as state:
        _ask(collection, state, Window(schedd), run.now)
        report = witness_batch(client, collection, state, run)
        _remember(state, report, [])
        # After the ends: what was over then is in the history, and what began since is running
        for queue in _report_queues(client, state, experiment, schedd):
            if queue.problem is not None:
                click.echo(_queue_sentence(queue), err=True)
    return report


def _report_queues(
    client: Client | None, state: WitnessState, experiment: str | None, schedd: str | None
) -> list[ReportedQueue]:
    """Report what runs and waits, and remember whose jobs these were."""
    before = state.reported_experiments()
    queues = report_queues(client, experiment=experiment, schedd=schedd, before=before)
    if client is not None:
        state.note_reported(queue.experiment for queue in queues if queue.jobs and queue.taken)
    return queues


def _deliver_to(settings: Settings) -> Deliver:
    return lambda entry: deliver(entry, settings.url, token_of(settings), Clock(_ENTRY_SECONDS))


def _ask(collection: Collection, state: WitnessState, window: Window, now: int) -> None:
    """Ask HTCondor for what ended since the last run, or within so many days at first.

    What runs is asked for first: of what ends meanwhile, the epoch alone would not tell the end.
    """
    collection.add(ask_running(window.schedd), "queue")
    _ask_ended(collection, state, window, now)


def _ask_ended(collection: Collection, state: WitnessState, window: Window, now: int) -> None:
    since = now - int(window.days * 86400)
    reached = state.reached()
    if reached is not None:
        since = max(since, reached - window.overlap_seconds)
    try:
        collection.add(ask_condor("epochs", since, window.schedd), "epochs")
    except NoEpochHistoryError:
        # The history still has the last attempt of each job
        collection.has_epochs = False
    collection.add(ask_condor("history", since, window.schedd), "history")
    collection.add(ask_condor("queue", since, window.schedd), "queue")


def _read_files(
    collection: Collection,
    state: WitnessState,
    files: Mapping[Source, Sequence[Path]],
    schedd: str | None,
) -> list[tuple[Path, str]]:
    """Read the files that changed since everything in them was reported.

    Return what to remember of them.
    """
    stamps = []
    for source, paths in files.items():
        for path in paths:
            if path == _STDIN:
                collection.add(_ads(sys.stdin.buffer, path, source, schedd), source)
                continue
            with suppress(FileNotFoundError):
                if state.is_unchanged(path):
                    continue
                stamps.append((path, stamp_of(path)))
            try:
                with path.open("rb") as stream:
                    collection.add(_ads(stream, path, source, schedd), source)
            except OSError as problem:
                raise BadInputError(f"{path} cannot be read: {problem.strerror}.") from None
    return stamps


def _ads(stream: BinaryIO, file: Path, source: Source, schedd: str | None) -> Iterator[Ad]:
    if source != "events":
        return read_ads(stream, str(file))
    lines = (line.decode("utf-8", "replace") for line in stream)
    return iter(attempts_of(read_events(lines, str(file)), schedd))


def _remember(state: WitnessState, report: Report, stamps: list[tuple[Path, str]]) -> None:
    """Note what the next run need not look at again."""
    is_whole = not (report.refused or report.waiting or report.left)
    if stamps:
        state.note_files(stamps if is_whole else [])
    elif report.reached is not None:
        state.note_reached(report.reached)


def _document(report: Report, collection: Collection) -> dict[str, object]:
    others = {
        "never_started": collection.never_started,
        "unnamed": collection.unnamed,
        "running": len(collection.running),
        "has_epochs": collection.has_epochs,
    }
    return {**vars(report), **others}


def _queue_sentence(queue: ReportedQueue) -> str:
    jobs = counted(queue.jobs, "job")
    line = f"{jobs} of {queue.experiment} in the queue of {queue.schedd}"
    if queue.problem is not None:
        return f"refused: {line}: {queue.problem}"
    return f"{line}; {queue.left_out} more left out" if queue.left_out else line


def _sentences(report: Report, collection: Collection) -> str:
    """Return what was done, a line for each kind of attempt that there was."""
    states = ", ".join(f"{count} {state}" for state, count in sorted(report.states.items()))
    in_brackets = f" ({states})" if states else ""
    reported = sum(report.states.values())
    attempts = counted(reported, "attempt")
    lines = [f"{attempts} reported{in_brackets}, {report.new} of them new to the service"]
    counts = (
        (report.leftovers, "sent that the hook could not send, and that came home"),
        (report.told_before, "reported before"),
        (report.waiting, "ended just now, or still run for the schedd, and wait for the next run"),
        (report.left, "beyond the limit of one run"),
        (report.elsewhere, "of another experiment, or of none: see --experiment"),
        (collection.never_started, "never started"),
        (
            collection.unnamed,
            (
                "without GlobalJobId: see --schedd, and job_ad_information_attrs in "
                "docs/how-to/record-jobs.md"
            ),
        ),
        (
            len(report.conflicts),
            "reported otherwise by this witness before; the first report counts",
        ),
    )
    lines += [f"{count} {words}" for count, words in counts if count]
    if not collection.has_epochs:
        lines.append(_NO_EPOCHS)
    refused = list(report.refused.items())[:_MOST_REFUSED]
    lines += [f"refused: {job_id}: {reason}" for job_id, reason in refused]
    return "\n".join(lines)


COMMANDS = {"witness": witness}
EXAMPLES = {
    "witness": (
        "jobprov witness --history /var/lib/condor/spool/history --experiment toyexp",
        "jobprov witness --schedd sched01.fnal.gov --running --dry-run",
    ),
}
