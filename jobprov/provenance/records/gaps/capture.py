"""Gaps of the capture: what nobody saw, what is not kept though a trace saw it, weaknesses.

What the hook saw by itself, or could not see, counts like what the user declared: a record is not
complete because it names nothing. For each weakness the hook names the kind, which is the code of a
gap, and its subject; the sentence is made here.

Source: docs/reference/gaps.md, docs/reference/record.md (`command.processes`, `outputs_not_there`,
`trace`, `environment.withheld_read`, `weaknesses`).
"""

from collections.abc import Iterator, Sequence

from jobprov.provenance.records.gaps.codes import GAPS, Message
from jobprov.provenance.records.gaps.findings import UnseenReads
from jobprov.provenance.records.job_record import (
    JobRecord,
    JobTrace,
    NotKept,
    Output,
    Processes,
    Step,
    Weakness,
)

ART_PROGRAMS = frozenset({"art", "art_ut", "lar", "lar_ut", "mu2e", "nova", "gm2", "uboone"})
"""Programs that cannot run without an fcl file."""

_MOST_OUTPUTS, _MOST_NAMES = 3, 5  # that a sentence names
_NEVER_IN_CAPSULES = frozenset({"private", "unreadable"})
"""Why a file was not kept that no capsule of the release has, either."""
_FEW_PROCESSES = 1024  # systems set more by themselves; whoever sets less means it

_SENTENCES = {
    "bytes-as-text": "{name} holds bytes that are no UTF-8; a rerun gets {detail} instead.",
    "capture-incomplete": "The hook could not record {name}: {detail}.",
    "changed-while-running": "{name} changed while the job ran; {detail}.",
    "fcl-missing": "{name} ran, but {detail}: not all of its fcl files are here.",
    "software-installed": "{name} is installed software: {detail}.",
    "random-unseeded": "{name} draws numbers that no seed decides: {detail}.",
    "network-used": "The job may need {name}: {detail}.",
    "run-specific": "{name} writes what differs in each run: {detail}.",
    "reads-unseen": "{name}, and {detail}: what this job read is not known in whole.",
    "secret-removed": "Secrets were taken out of {name} ({detail}): a rerun gets something else.",
}
"""By the kind of a weakness."""
_OTHER_SENTENCE = "{name}: {detail}."
_MOST_OF_A_KIND = 20


def unseen_gaps(record: JobRecord) -> Iterator[Message]:
    """Yield programs without fcl or of unknown code, and outputs that are not there."""
    yield from _program_gaps(record)
    yield from _output_gaps(record)


def _program_gaps(record: JobRecord) -> Iterator[Message]:
    if record.command is None:
        return
    configured = {configuration.step for configuration in record.configurations or ()}
    for step in record.command.steps or ():
        if _needs_configuration(step) and step.name not in configured:
            yield "no-configuration", f"{step.name} ran, and no fcl file of it is recorded."
    if record.command.processes is not None:
        yield from _process_gaps(record.command.processes)


def _process_gaps(processes: Processes) -> Iterator[Message]:
    """Yield programs of unknown code among the processes, and that some may not have been seen."""
    for path in processes.unknown_programs or ():
        yield "code-unknown", f"{path} ran, which is in no known repository or product."
    if processes.is_complete is False:
        reason = processes.why_incomplete or "the hook does not say why"
        yield "children-unseen", f"The job may have run or made more than was seen: {reason}."


def _needs_configuration(step: Step) -> bool:
    if step.role == "program":
        return True
    if not step.argv:
        return False
    return step.argv[0].rpartition("/")[2] in ART_PROGRAMS


def _output_gaps(record: JobRecord) -> Iterator[Message]:
    if record.outputs_not_there:
        paths = [output.path for output in record.outputs_not_there]
        listing = _listing(paths, count=len(paths), most=_MOST_OUTPUTS)
        yield "output-not-there", f"Named as outputs and not there: {listing}."
    if record.state != "succeeded" or record.hook is None:
        return  # a batch system, or a job that failed, is not asked for outputs
    if not any(_is_made(output) for output in record.outputs or ()):
        yield "outputs-missing", "The job succeeded, and no file that it made is recorded."


def _is_made(output: Output) -> bool:
    return output.status in (None, "written", "empty", "dropped")


def traced_gaps(
    record: JobRecord, unseen: UnseenReads | None, *, has_capsule: bool
) -> Iterator[Message]:
    """Yield the files, hosts and variables that a trace saw and that are not kept."""
    withheld = record.environment.withheld_read if record.environment else None
    if withheld:
        names = _listing(withheld, count=len(withheld))
        yield "withheld-variable-read", f"What ran names variables that are withheld: {names}."
    trace = record.trace
    if trace is None:
        return
    yield from _not_kept_gaps(trace, has_capsule=has_capsule)
    if trace.why_incomplete and not has_capsule:
        yield (
            "touched-not-kept",
            f"The job may have used more than the trace shows: {trace.why_incomplete}.",
        )
    if trace.changed:
        names = _listing(trace.changed, count=len(trace.changed))
        yield (
            "changed-while-running",
            f"Read, and changed or removed before the job ended: {names}.",
        )
    if trace.network:
        hosts = _listing(trace.network, count=len(trace.network))
        yield "network-used", f"The job talked to {hosts}."
    if trace.waits_for:
        yield from _gaps_of_untraced(unseen)


def _not_kept_gaps(trace: JobTrace, *, has_capsule: bool) -> Iterator[Message]:
    not_kept: Sequence[NotKept] = trace.not_kept or ()
    count = trace.not_kept_count or len(not_kept)
    if has_capsule:
        # A capsule is made of what such jobs touch, but for these files
        not_kept = [file for file in not_kept if file.reason in _NEVER_IN_CAPSULES]
        count = len(not_kept)
    if not not_kept:
        return
    names = []
    for file in not_kept:
        reason = f" ({file.reason})" if file.reason else ""
        names.append(f"{file.path}{reason}")
    yield "touched-not-kept", f"The job used what is not kept: {_listing(names, count=count)}."


def _gaps_of_untraced(unseen: UnseenReads | None) -> Iterator[Message]:
    """Yield what is not known of a job that ended before the traced one of its kind."""
    if unseen is None:
        unknown = "what this job read is not known in whole"
        yield "reads-unseen", f"No record of a traced job of this kind has come: {unknown}."
        return
    if unseen.paths:
        names = _listing(unseen.paths, count=len(unseen.paths))
        yield (
            "reads-unseen",
            f"The traced job of this kind used {names}, and whether this one did is not known.",
        )
    if unseen.left_out:
        sentence = (
            f"The traced job of this kind used or looked for {unseen.left_out} more files than its "
            "record names, and whether this one did is not known."
        )
        yield "reads-unseen", sentence
    if unseen.settings:
        names = _listing(unseen.settings, count=len(unseen.settings))
        sentence = (
            f"The traced job of this kind looked for {names} in vain; the home folder of this job "
            "had it, or may have had it, and it is not kept."
        )
        yield "touched-not-kept", sentence
    if unseen.hosts:
        hosts = _listing(unseen.hosts, count=len(unseen.hosts))
        yield "network-used", f"The traced job of this kind talked to {hosts}."


def _listing(names: Sequence[str], *, count: int, most: int = _MOST_NAMES) -> str:
    """Return the first names, and how many more there are of `count` in all."""
    shown = ", ".join(names[:most])
    if count > most:
        shown += f" and {count - most} more"
    return shown


def weakness_gaps(record: JobRecord) -> Iterator[Message]:
    """Yield what the hook knew to be weak, and limits of the job that stay behind."""
    if record.weaknesses:
        yield from _gaps_of_weaknesses(record.weaknesses)
    if record.command is not None and record.command.stdin == "terminal":
        yield "terminal-used", "The job was started at a terminal; what it read there is not kept."
    yield from _limit_gaps(record)


def unknown_kinds(record: JobRecord) -> Iterator[tuple[str, str]]:
    """Yield (path, kind) of the weaknesses that this version has no gap for."""
    for position, weakness in enumerate(record.weaknesses or ()):
        if weakness.kind not in GAPS:
            yield f"weaknesses[{position}].kind", weakness.kind


def _gaps_of_weaknesses(weaknesses: list[Weakness]) -> Iterator[Message]:
    by_kind: dict[str, list[Weakness]] = {}
    for weakness in weaknesses:
        if weakness.kind in GAPS:
            by_kind.setdefault(weakness.kind, []).append(weakness)
    for kind, alike in by_kind.items():
        for weakness in alike[:_MOST_OF_A_KIND]:
            yield kind, _sentence(weakness)
        if len(alike) > _MOST_OF_A_KIND:
            yield kind, f"The same holds for {len(alike) - _MOST_OF_A_KIND} more."


def _sentence(weakness: Weakness) -> str:
    template = _SENTENCES.get(weakness.kind, _OTHER_SENTENCE)
    name = weakness.name or "the job"
    detail = weakness.detail or "the hook does not say how"
    sentence = template.format(name=name, detail=detail)
    return sentence[:1].upper() + sentence[1:]


def _limit_gaps(record: JobRecord) -> Iterator[Message]:
    """Yield which limits of the job no shell can set in the same way everywhere.

    run.sh sets the others again.
    """
    limits = record.environment.limits if record.environment else None
    if not limits:
        return
    file_size = limits.get("file_size_bytes")
    if isinstance(file_size, int):
        yield "limit-not-restored", f"The job could write no file of more than {file_size} bytes."
    processes = limits.get("processes")
    if isinstance(processes, int) and processes < _FEW_PROCESSES:
        yield "limit-not-restored", f"The user of the job could have {processes} processes at most."
