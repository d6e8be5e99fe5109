"""Who this job is: batch system, task and job id, from the job and machine ads and from known variables.

Source: HTCondor long-form ads named by _CONDOR_JOB_AD and _CONDOR_MACHINE_AD (frozen at job start),
jobsub_lite's, POMS's, justIN's and SAM's variables. The ads are preferred to the environment.
"""

import hashlib
import math
import os
import re

from jobprov.provenance.capture.draft import moment_if_kept, without_empty

NAMESPACE = bytes.fromhex(
    "6f2a0c1e5b7d5e0a9c3f23518a16f001"
)  # of job ids that every witness can make
_LINE = re.compile(r"^\s*([A-Za-z_]\w*)\s*=\s*(.*?)\s*$")


def read_ad(path):
    """Return the attributes of a long-form ad.

    Strings, numbers and booleans are decoded, expressions stay text.
    """
    with open(path, "rb") as stream:
        return parse_ad(stream.read(4 << 20).decode("utf-8", "replace"))


def parse_ad(text):
    """Return the attributes of an ad's text."""
    matches = (_LINE.match(line) for line in text.splitlines())
    return {match.group(1): _ad_value(match.group(2)) for match in matches if match}


def _ad_value(text):
    if len(text) > 1 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        if kind is int or math.isfinite(
            value
        ):  # what HTCondor means by `inf` is an attribute of that name, and JSON has no such number
            return value
    return text


def ads(environment, draft):
    """Return (job ad, machine ad); each empty outside HTCondor."""
    found = []
    for name in ("_CONDOR_JOB_AD", "_CONDOR_MACHINE_AD"):
        path = environment.get(name)
        found.append(draft.attempt("job or machine ad", read_ad, path) or {} if path else {})
    return found


def describe_batch(environment, ad):
    """Return the record's `batch`, without its part; empty where no batch system is seen."""
    if ad.get("GlobalJobId"):
        return _condor(environment, ad)
    identity = environment.get("JOBSUBJOBID") or environment.get("JUSTIN_JOBSUB_ID")
    if identity:
        return without_empty(
            {
                "system": "htcondor",
                "id": identity,
                "global_job_id": identity,
                "section": environment.get("JOBSUBJOBSECTION") or None,
                "dag": environment.get("DAGMANJOBID") or None,
            }
        )
    if environment.get("SLURM_JOB_ID"):
        cluster = environment.get("SLURM_CLUSTER_NAME", "")
        return {
            "system": "slurm",
            "id": environment["SLURM_JOB_ID"],
            "global_job_id": "{}#{}".format(cluster, environment["SLURM_JOB_ID"]),
            "attempt": 1 + _integer(environment.get("SLURM_RESTART_COUNT"), 0),
        }
    return {}


def _condor(environment, ad):
    schedd = str(ad["GlobalJobId"]).split("#", 1)[0]
    identity = "{}.{}@{}".format(ad.get("ClusterId", ""), ad.get("ProcId", ""), schedd)
    dag = ad.get("DAGManJobId") or environment.get("DAGMANJOBID")
    return without_empty(
        {
            "system": "htcondor",
            "id": str(ad.get("JobsubJobId") or environment.get("JOBSUBJOBID") or identity),
            "global_job_id": str(ad["GlobalJobId"]),
            "attempt": ad["NumShadowStarts"] if isinstance(ad.get("NumShadowStarts"), int) else 1,
            "dag": str(dag) if dag else None,
            "section": environment.get("JOBSUBJOBSECTION") or None,
            "queued_at": moment_if_kept(ad.get("QDate")),
        }
    )


def name_job(batch):
    """Return the job id: the same for every witness under a batch system, random elsewhere."""
    if not batch.get("global_job_id"):
        return _uuid(os.urandom(16), 4)
    identity = "{}|{}|{}".format(
        batch["global_job_id"], batch.get("attempt", 1), batch.get("part", 0)
    )
    return _uuid(hashlib.sha1(NAMESPACE + identity.encode("utf-8", "surrogateescape")).digest(), 5)  # noqa: S324 - RFC 9562


def _uuid(content, version):
    """Return a UUID's text (RFC 9562).

    The uuid module takes longer to load than the hook may take.
    """
    octets = bytearray(content[:16])
    octets[6] = octets[6] & 0x0F | version << 4
    octets[8] = octets[8] & 0x3F | 0x80
    text = octets.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def name_experiment(options, environment, ad):
    """Return the experiment, or None where nothing tells."""
    return (
        options.experiment
        or environment.get("EXPERIMENT")
        or environment.get("SAM_EXPERIMENT")
        or ad.get("Jobsub_Group")
        or environment.get("JOBSUB_GROUP")
        or environment.get("GROUP")
        or None
    )


def describe_task(options, environment, ad):
    """Return the record's `task`, without its unit."""

    def first(*names):
        values = (environment.get(name) or ad.get(name) for name in names)
        return next((str(value) for value in values if value not in (None, "")), None)

    return without_empty(
        {
            "task_id": options.task_id
            or first("POMS_TASK_ID", "POMS4_SUBMISSION_ID", "JUSTIN_WORKFLOW_ID"),
            "campaign": options.campaign or first("POMS4_CAMPAIGN_NAME", "POMS_CAMPAIGN_NAME"),
            "stage": options.stage or first("POMS4_CAMPAIGN_STAGE_NAME", "JUSTIN_STAGE_ID"),
            "project": options.project or first("SAM_PROJECT_NAME", "SAM_PROJECT"),
            "submitted_by": options.submitted_by or first("GRID_USER", "Owner"),
        }
    )


def name_unit(options, environment, ad, inputs):
    """Return what a retry has in common with its first try.

    The one input, else the index within the task.
    """
    primary = [entry["name"] for entry in inputs if entry.get("role") == "primary"]
    if options.unit or len(primary) == 1:
        return options.unit or primary[0]
    index = environment.get("PROCESS") or environment.get("SLURM_ARRAY_TASK_ID") or ad.get("ProcId")
    return str(index) if index not in (None, "") else None


def _integer(text, default):
    try:
        return int(text)
    except (TypeError, ValueError):
        return default
