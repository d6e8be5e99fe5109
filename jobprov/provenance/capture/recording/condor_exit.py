"""The record that HTCondor itself can give.

From the job's ad, as its exit hook or a PostCmd hands it on.

The environment of the hook is the starter's, with live session keys, and the ad's times and CPU may
be zeros: neither is recorded.

Source: HTCondor manual, `<KEYWORD>_HOOK_JOB_EXIT` (`exit` or `evict` as argument, the ad in long
form on standard input) and `PostCmd` (no ad there: `.job.ad` in the scratch folder,
`_CONDOR_MAINJOB_EXIT_CODE`).
"""

import os
import time
from typing import Dict, Optional, Tuple

from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.fields import moment_if_kept, now, without_empty
from jobprov.provenance.capture.record.json_objects import ClassAd, JsonObject
from jobprov.provenance.capture.recording.job import describe_hook
from jobprov.provenance.capture.running import streams
from jobprov.provenance.capture.running.background import Speaker
from jobprov.provenance.capture.running.ending import SIGNALLED
from jobprov.provenance.capture.secrets.arguments import redact_arguments
from jobprov.provenance.capture.secrets.variables import withhold_values
from jobprov.provenance.capture.sending import flushing
from jobprov.provenance.capture.sending import spool as spools
from jobprov.provenance.capture.surroundings import batch, condor_ads, host

_NAMING = ("experiment", "task-id", "campaign", "stage", "unit", "project", "submitted-by")
_STARTS = ("JobCurrentStartExecutingDate", "JobCurrentStartDate", "JobStartDate")
_MEGABYTE = 1024 * 1024


def record_exit(options: Options, environment: Dict[str, str], text: str, speaker: Speaker) -> None:
    """Spool and send the record of a job that has just ended in this scratch folder.

    Raises ValueError without an ad.
    """
    ad, witness = condor_ads.parse_ad(text), "startd"
    if not ad.get("GlobalJobId"):
        ad, witness = _own_ad(environment), "postcmd"
    if not ad.get("GlobalJobId"):
        raise ValueError(
            "no job ad on standard input, nor in .job.ad: nothing tells which job this was"
        )
    draft = Draft()
    withhold_values(condor_ads.job_variables(ad))
    _add_logs(draft)
    draft.record.update(_describe_job(draft, ad, options, environment, witness))
    draft.record["sent_at"] = now()
    spool = spools.find(options, environment)
    entry = flushing.keep(spool, draft, options, environment)
    flushing.Sender(options, environment, speaker).send(entry, draft)


def _describe_job(
    draft: Draft, ad: ClassAd, options: Options, environment: Dict[str, str], witness: str
) -> JsonObject:
    """Return the record, as far as the ad and the scratch folder tell."""
    described = batch.describe_batch({}, ad)
    described["part"] = 0
    variables = condor_ads.job_variables(ad)
    _take_names(options, variables)
    code, number = _end(ad, environment)
    was_evicted = "evict" in options.words
    fields = {
        "schema_version": 1,
        "job_id": batch.name_job(described),
        "witness": witness,
        "state": condor_ads.state_of(code, number, was_evicted=was_evicted),
        "experiment": str(batch.name_experiment(options, variables, ad) or "unknown"),
        "task": batch.describe_task(options, variables, ad) or None,
        "batch": described,
        "started_at": _started(ad),
        "ended_at": now(),
        "command": {"argv": redact_arguments(condor_ads.command_of(ad))},
        "exit": without_empty({"code": code, "signal": number, "message": ad.get("ExitReason")}),
        "host": host.describe_host(draft, {}, _machine_ad(draft)) or None,
        "resources": _resources(ad) or None,
        "hook": describe_hook(),
    }
    return without_empty(fields)


def _own_ad(environment: Dict[str, str]) -> ClassAd:
    for path in (environment.get("_CONDOR_JOB_AD"), ".job.ad"):
        if path and os.path.isfile(path):
            return condor_ads.read_ad(path)
    return {}


def _machine_ad(draft: Draft) -> ClassAd:
    if not os.path.isfile(".machine.ad"):
        return {}
    return draft.attempt("machine ad", condor_ads.read_ad, ".machine.ad") or {}


def _add_logs(draft: Draft) -> None:
    """Add what the job printed so far; of a removed job the batch system brings nothing home."""
    for name in ("stdout", "stderr"):
        path = "_condor_" + name
        if os.path.isfile(path):
            content, is_cut = draft.attempt(name, streams.read_log, path) or (b"", False)
            if content:
                draft.add_log(name, None, content, is_cut=is_cut)


def _end(ad: ClassAd, environment: Dict[str, str]) -> Tuple[Optional[int], Optional[int]]:
    """Return (exit code or None, signal or None)."""
    if ad.get("ExitBySignal") is True and isinstance(ad.get("ExitSignal"), int):
        return SIGNALLED + ad["ExitSignal"], ad["ExitSignal"]
    if isinstance(ad.get("ExitCode"), int):
        return ad["ExitCode"], None
    code = environment.get("_CONDOR_MAINJOB_EXIT_CODE", "")
    if code.isdigit():
        return int(code), None
    number = environment.get("_CONDOR_MAINJOB_EXIT_SIGNAL", "")
    if number.isdigit():
        return SIGNALLED + int(number), int(number)
    return None, None


def _take_names(options: Options, variables: Dict[str, str]) -> None:
    """Take names from the job's own JOBPROV_... variables.

    Neither hook sees the job's environment.
    """
    own = Options([], variables)
    for name in _NAMING:
        options.values[name] = options.values[name] or own.values[name]


def _started(ad: ClassAd) -> str:
    for name in _STARTS:
        started = moment_if_kept(ad.get(name))
        if started:
            return started
    duration = _duration(ad)
    started = None if duration is None else moment_if_kept(time.time() - duration)
    return started or now()


def _duration(ad: ClassAd) -> Optional[float]:
    """Return how long the job ran, in seconds, or None."""
    duration = ad.get("JobDuration")
    return float(duration) if isinstance(duration, (int, float)) else None


def _resources(ad: ClassAd) -> JsonObject:
    memory = ad.get("RequestMemory")
    fields = {
        "wall_seconds": _duration(ad),
        "requested_memory_bytes": memory * _MEGABYTE if isinstance(memory, int) else None,
    }
    return without_empty(fields)
