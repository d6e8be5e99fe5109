"""The job record of one attempt, from what the batch system knows: the witness `history`.

The same sources give the same bytes, so that sending twice is harmless. A zero in the ad (CPU,
memory) means not measured and stays out. A value that no record may hold is left out, and a word
that is too long is cut, both with a note.

Source: record.md; names of sites in ads of glideins: `MATCH_EXP_JOB_GLIDEIN_Site` and its like.
"""

import uuid
from collections.abc import Mapping

from jobprov.provenance.capture.record import limits
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.encoding import clean
from jobprov.provenance.capture.record.fields import moment
from jobprov.provenance.capture.secrets.arguments import redact_arguments
from jobprov.provenance.capture.secrets.texts import redact_text
from jobprov.provenance.capture.surroundings import batch
from jobprov.provenance.capture.surroundings.condor_ads import command_of, job_variables
from jobprov.provenance.launchers.condor.ads import Ad
from jobprov.provenance.launchers.condor.attempts import Attempt, is_whole
from jobprov.provenance.launchers.condor.ends import End, end_of, last_seen_at, started_at
from jobprov.provenance.launchers.condor.hook_line import experiment_in, task_of
from jobprov.provenance.launchers.condor.recorded_submission import submission_of, without_secrets

_MIB = 1024 * 1024
_LONGEST_MESSAGE = 2000
SITES = (
    "MATCH_EXP_JOB_GLIDEIN_Site",
    "MATCH_GLIDEIN_Site",
    "MachineAttrGLIDEIN_Site0",
    "JOBGLIDEIN_Site",
)


def experiment_of(attempt: Attempt) -> str | None:
    """Return the experiment that the job's ad names, or None."""
    return experiment_in(_whole_ad(attempt))


def job_id_of(attempt: Attempt) -> str:
    """Return the job id, the same as the hook's."""
    return str(batch.name_job(_batch(_whole_ad(attempt))))


def record_of(attempt: Attempt, experiment: str) -> dict[str, object]:
    """Return the record of an attempt that is over, as plain JSON.

    A value that the service would refuse is left out; `extra.batch_history` lists what was cut.
    """
    ad, end = _whole_ad(attempt), end_of(attempt)
    start, described = started_at(attempt), _batch(ad)
    command, history = None, _history(attempt)
    if ad.get("Cmd"):
        command = {"argv": redact_arguments(command_of(ad))}
    record = _without_empty(
        {
            "schema_version": 1,
            "job_id": batch.name_job(described),
            "witness": "history",
            "state": end.state,
            "experiment": experiment,
            "task": task_of(ad),
            "retry_of": _retry_of(job_variables(ad)),
            "batch": described,
            "started_at": _moment(_begun(attempt, start, end)),
            "ended_at": _moment(end.at),
            "command": command,
            "exit": _exit(end),
            "environment": _environment(attempt),
            "host": _host(attempt),
            "resources": _resources(attempt, start, end),
            "extra": {
                "batch_history": history,
                # So that it can be submitted again as it was
                "batch_submission": without_secrets(submission_of(ad)),
            },
        }
    )
    draft = Draft(record)
    limits.mend_task_id(draft)
    limits.mend(draft)
    if draft.notes:
        history["notes"] = draft.notes
    cleaned: dict[str, object] = clean(record)
    return cleaned


def _begun(attempt: Attempt, start: float | None, end: End) -> float | None:
    """Return when the attempt started.

    If no source knows it and a record of its state needs it, the first known moment after that.
    """
    if start is not None or end.state in ("killed", "lost"):
        return start
    if end.at is not None:
        return end.at
    return last_seen_at(attempt) or attempt.moment_of("QDate")


def _retry_of(variables: dict[str, str]) -> str | None:
    try:
        return str(uuid.UUID(variables.get("JOBPROV_RETRY_OF", "")))
    except ValueError:
        return None


def _whole_ad(attempt: Attempt) -> Ad:
    """Return all attributes of an attempt, each from the best source that has it."""
    whole: Ad = {}
    for ad in reversed(list(attempt.ads.values())):
        whole.update(ad)
    return whole


def _batch(ad: Ad) -> dict[str, object]:
    return {**batch.describe_batch({}, ad), "part": 0}


def _exit(end: End) -> dict[str, object]:
    message = redact_text(end.message)[:_LONGEST_MESSAGE] if end.message else None
    return _without_empty(
        {"code": end.code, "signal": end.signal, "error_class": end.error_class, "message": message}
    )


def _environment(attempt: Attempt) -> dict[str, object]:
    image = attempt.text_of("SingularityImage")
    return {} if image is None else {"container": {"image": image}}


def _host(attempt: Attempt) -> dict[str, object]:
    """Return where it ran; a glidein's slot is `slot1_2@glidein_77@node`."""
    slot = attempt.text_of("RemoteHost", "LastRemoteHost")
    if slot is None:
        return {}
    site = attempt.text_of(*SITES)
    # `$$(…)` is a macro that HTCondor replaces at the match; unreplaced, it names no site
    if site is not None and "$$" in site:
        site = None
    return _without_empty({"hostname": slot.rsplit("@", 1)[-1], "slot": slot, "site": site})


def _resources(attempt: Attempt, start: float | None, end: End) -> dict[str, object]:
    memory = attempt.number_of("RequestMemory")
    rss = attempt.number_of("ResidentSetSize_RAW", "ResidentSetSize")
    return _without_empty(
        {
            "wall_seconds": _wall_seconds(start, end),
            "cpu_user_seconds": attempt.number_of("RemoteUserCpu"),
            "cpu_system_seconds": attempt.number_of("RemoteSysCpu"),
            "max_rss_bytes": int(rss * 1024) if rss else None,
            "requested_memory_bytes": int(memory * _MIB) if memory else None,
        }
    )


def _wall_seconds(start: float | None, end: End) -> float | None:
    """Return how long an attempt ran; None if that is not known, or less than a second."""
    if start is None or end.at is None or end.state == "lost" or end.at <= start:
        return None
    return float(end.at - start)


def _history(attempt: Attempt) -> dict[str, object]:
    numbers = {
        "program_starts": attempt.fact("NumJobStarts"),
        "hold_reason_code": attempt.fact("HoldReasonCode", "LastHoldReasonCode"),
        "vacate_reason_code": attempt.number_of("VacateReasonCode"),
    }
    history: dict[str, object] = {}
    for name, number in numbers.items():
        if is_whole(number):
            history[name] = number
    ticket = attempt.fact("ToE")
    if isinstance(ticket, dict) and isinstance(ticket.get("How"), str):
        history["ended_by"] = ticket["How"]
    return history


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else str(moment(seconds))


def _without_empty(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None and value != {}}
