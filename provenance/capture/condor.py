"""The record that HTCondor itself can give.

From the job's ad, as its exit hook or a PostCmd hands it on.

Source: HTCondor manual, `<KEYWORD>_HOOK_JOB_EXIT` (`exit` or `evict` as argument, the ad in long
form on standard input) and `PostCmd` (no ad there: `.job.ad` in the scratch folder,
`_CONDOR_MAINJOB_EXIT_CODE`). The environment of the hook is the starter's, with live session keys,
and the ad's times and CPU may be zeros: neither is recorded.
"""

import os
import shlex
import sys
import time

from jobprov.provenance.capture import VERSION, batch, flushing, logs, redaction, surroundings
from jobprov.provenance.capture import spool as spools
from jobprov.provenance.capture.draft import Draft, moment_if_kept, now, without_empty
from jobprov.provenance.capture.options import Options

_NAMING = ("experiment", "task-id", "campaign", "stage", "unit", "project", "submitted-by")


def record_exit(options, environment, text, speaker):
    """Spool and send the record of a job that has just ended in this scratch folder.

    Raises ValueError without an ad.
    """
    ad, witness = batch.parse_ad(text), "startd"
    if not ad.get("GlobalJobId"):
        ad, witness = _own_ad(environment), "postcmd"
    if not ad.get("GlobalJobId"):
        raise ValueError(
            "no job ad on standard input, nor in .job.ad: nothing tells which job this was"
        )
    draft = Draft()
    described = batch.describe_batch({}, ad)
    described["part"] = 0
    variables = job_variables(ad)
    _ask_job(options, variables)
    code, number = _end(ad, environment)
    was_evicted = "evict" in options.words
    draft.record.update(
        without_empty(
            {
                "schema_version": 1,
                "job_id": batch.name_job(described),
                "witness": witness,
                "state": state_of(code, number, was_evicted),
                "experiment": str(batch.name_experiment(options, variables, ad) or "unknown"),
                "task": batch.describe_task(options, variables, ad) or None,
                "batch": described,
                "started_at": _started(ad),
                "ended_at": now(),
                "command": {"argv": redaction.redact_arguments(command_of(ad))},
                "exit": without_empty(
                    {"code": code, "signal": number, "message": ad.get("ExitReason")}
                ),
                "host": surroundings.describe_host(draft, {}, _machine_ad(draft)) or None,
                "resources": _resources(ad) or None,
                "logs": _logs(draft) or None,
                "hook": {"version": VERSION, "python": "{}.{}.{}".format(*sys.version_info[:3])},
            }
        )
    )
    draft.record["sent_at"] = now()
    spool = spools.find(options, environment)
    path = flushing.keep(spool, draft, options, environment)
    flushing.Sender(options, environment, speaker).send(path, draft)


def _own_ad(environment):
    for path in (environment.get("_CONDOR_JOB_AD"), ".job.ad"):
        if path and os.path.isfile(path):
            return batch.read_ad(path)
    return {}


def _machine_ad(draft):
    return (
        (draft.attempt("machine ad", batch.read_ad, ".machine.ad") or {})
        if os.path.isfile(".machine.ad")
        else {}
    )


def _logs(draft):
    """Return what the job printed so far; of a removed job the batch system brings nothing home."""
    found = []
    for name, path in (("stdout", "_condor_stdout"), ("stderr", "_condor_stderr")):
        if os.path.isfile(path) and os.path.getsize(path):
            content, is_cut = draft.attempt(name, logs.read_log, path) or (b"", False)
            if content:
                entry = {
                    "name": name,
                    "sha256": draft.add_bytes(redaction.redact(content)[0]),
                    "size_bytes": os.path.getsize(path),
                }
                found.append(dict(entry, is_truncated=True) if is_cut else entry)
    return found


def _end(ad, environment):
    """Return (exit code or None, signal or None)."""
    if ad.get("ExitBySignal") is True and isinstance(ad.get("ExitSignal"), int):
        return 128 + ad["ExitSignal"], ad["ExitSignal"]
    if isinstance(ad.get("ExitCode"), int):
        return ad["ExitCode"], None
    for name, is_signal in (
        ("_CONDOR_MAINJOB_EXIT_CODE", False),
        ("_CONDOR_MAINJOB_EXIT_SIGNAL", True),
    ):
        if environment.get(name, "").isdigit():
            value = int(environment[name])
            return (128 + value, value) if is_signal else (value, None)
    return None, None


def state_of(code, number, was_evicted):
    """Return the record's state of a job that ended by itself (code, signal or None) or was evicted."""
    if was_evicted or number in (1, 2, 9, 15, 24):
        return "killed"
    if code is None:
        return "lost"
    return "failed" if code else "succeeded"


def job_variables(ad):
    """Return the variables that the ad hands to the job.

    Only names of experiment and task are taken from them.
    """
    text = ad.get("Environment")
    if not isinstance(text, str):
        return {}
    try:
        return dict(word.split("=", 1) for word in shlex.split(text) if "=" in word)
    except ValueError:
        return {}


def _ask_job(options, variables):
    """Take from the job's own JOBPROV_... variables what names it.

    Neither hook sees the job's environment.
    """
    asked = Options([], variables)
    for name in _NAMING:
        options.values[name] = options.values[name] or asked.values[name]


def command_of(ad):
    """Return program and arguments of the ad."""
    arguments = ad.get("Arguments") or ad.get("Args") or ""
    try:
        return [str(ad.get("Cmd", "")), *shlex.split(str(arguments))]
    except ValueError:
        return [str(ad.get("Cmd", "")), str(arguments)]


def _started(ad):
    for name in ("JobCurrentStartExecutingDate", "JobCurrentStartDate", "JobStartDate"):
        started = moment_if_kept(ad.get(name))
        if started:
            return started
    duration = ad.get("JobDuration")
    return (
        moment_if_kept(time.time() - duration) if isinstance(duration, (int, float)) else None
    ) or now()


def _resources(ad):
    duration = ad.get("JobDuration")
    return without_empty(
        {
            "wall_seconds": float(duration) if isinstance(duration, (int, float)) else None,
            "requested_memory_bytes": ad["RequestMemory"] * 1024 * 1024
            if isinstance(ad.get("RequestMemory"), int)
            else None,
        }
    )
