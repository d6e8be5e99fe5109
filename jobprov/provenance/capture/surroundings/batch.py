"""Who this job is: batch system, task and job id, by its ads and by known variables.

Sources: HTCondor's ads (condor_ads), jobsub_lite's, POMS's, justIN's and SAM's variables, and those
of DIRAC's JobWrapper, PanDA's pilot, Slurm and Grid Engine. The ads are preferred to the environment.
"""

import hashlib
import os
from typing import Dict, Iterable, Optional

from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.record.fields import moment_if_kept, without_empty
from jobprov.provenance.capture.record.json_objects import ClassAd, Entry, JsonObject
from jobprov.provenance.capture.surroundings import condor_ads

# Of job ids that every witness can make
NAMESPACE = bytes.fromhex("6f2a0c1e5b7d5e0a9c3f23518a16f001")


def describe_batch(environment: Dict[str, str], ad: ClassAd) -> JsonObject:
    """Return the record's `batch`, without its part; empty where no batch system is seen."""
    numbers = {"dirac": condor_ads.dirac_number(environment), "panda": environment.get("PANDAID")}
    for system, number in numbers.items():
        if number:
            # Without a global id: a job that is rescheduled may keep it, and nothing counts that
            return {"system": system, "id": number}
    if ad.get("GlobalJobId"):
        return _describe_condor(environment, ad)
    identity = environment.get("JOBSUBJOBID") or environment.get("JUSTIN_JOBSUB_ID")
    if identity:
        fields = {
            "system": "htcondor",
            "id": identity,
            "global_job_id": identity,
            "section": environment.get("JOBSUBJOBSECTION") or None,
            "dag": environment.get("DAGMANJOBID") or None,
        }
        return without_empty(fields)
    if environment.get("SLURM_JOB_ID"):
        return _describe_slurm(environment)
    if environment.get("JOB_ID") and environment.get("SGE_TASK_ID"):
        index = _index_in_grid_engine(environment)
        # Without a global id: a job that is restarted keeps its number, and nothing counts that
        return {"system": "gridengine", "id": environment["JOB_ID"] + (index and "." + index)}
    return {}


def _describe_slurm(environment: Dict[str, str]) -> JsonObject:
    """Return the `batch` of a job, or of what srun started in it: `job.step`, `job.step.task`.

    Tasks may have spools of their own, on nodes of their own: nothing else tells them apart.
    """
    identity = environment["SLURM_JOB_ID"]
    if environment.get("SLURM_STEP_ID"):
        identity += "." + environment["SLURM_STEP_ID"]
        if _is_one_of_several(environment):
            identity += "." + environment.get("SLURM_PROCID", "")
    return {
        "system": "slurm",
        "id": identity,
        "global_job_id": "{}#{}".format(environment.get("SLURM_CLUSTER_NAME", ""), identity),
        "attempt": 1 + _integer(environment.get("SLURM_RESTART_COUNT"), 0),
    }


def _index_in_grid_engine(environment: Dict[str, str]) -> str:
    """Return a job's index in its array, or '' where it is in none."""
    index = environment.get("SGE_TASK_ID", "")
    return "" if index == "undefined" else index


def _is_one_of_several(environment: Dict[str, str]) -> bool:
    """Tell whether this is a task of a step of Slurm that has several."""
    return environment.get("SLURM_STEP_NUM_TASKS", "1") != "1"


def _describe_condor(environment: Dict[str, str], ad: ClassAd) -> JsonObject:
    global_job_id = str(ad["GlobalJobId"])
    schedd = global_job_id.split("#", 1)[0]
    identity = "{}.{}@{}".format(ad.get("ClusterId", ""), ad.get("ProcId", ""), schedd)
    dag = ad.get("DAGManJobId") or environment.get("DAGMANJOBID")
    starts = ad.get("NumShadowStarts")
    fields = {
        "system": "htcondor",
        "id": str(ad.get("JobsubJobId") or environment.get("JOBSUBJOBID") or identity),
        "global_job_id": global_job_id,
        "attempt": starts if isinstance(starts, int) else 1,
        "dag": str(dag) if dag else None,
        "dag_node": ad.get("DAGNodeName"),
        "section": environment.get("JOBSUBJOBSECTION") or None,
        "queued_at": moment_if_kept(ad.get("QDate")),
    }
    return without_empty(fields)


def name_job(batch: JsonObject) -> str:
    """Return the job id: the same for every witness under a batch system, random elsewhere."""
    if not batch.get("global_job_id"):
        return _uuid(os.urandom(16), 4)
    identity = "{}|{}|{}".format(
        batch["global_job_id"], batch.get("attempt", 1), batch.get("part", 0)
    )
    name = NAMESPACE + identity.encode("utf-8", "surrogateescape")
    return _uuid(hashlib.sha1(name).digest(), 5)  # noqa: S324 - RFC 9562


def _uuid(content: bytes, version: int) -> str:
    """Return a UUID's text (RFC 9562).

    The uuid module takes longer to load than the hook may take.
    """
    octets = bytearray(content[:16])
    octets[6] = octets[6] & 0x0F | version << 4
    octets[8] = octets[8] & 0x3F | 0x80
    text = octets.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def name_experiment(options: Options, environment: Dict[str, str], ad: ClassAd) -> Optional[str]:
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


def describe_task(options: Options, environment: Dict[str, str], ad: ClassAd) -> JsonObject:
    """Return the record's `task`, without its unit."""

    def first(*names: str) -> Optional[str]:
        for name in names:
            value = environment.get(name) or ad.get(name)
            if value not in (None, ""):
                return str(value)
        return None

    fields = {
        "task_id": options.task_id
        or first("POMS_TASK_ID", "POMS4_SUBMISSION_ID", "JUSTIN_WORKFLOW_ID", "PanDA_TaskID"),
        "campaign": options.campaign or first("POMS4_CAMPAIGN_NAME", "POMS_CAMPAIGN_NAME"),
        "stage": options.stage or first("POMS4_CAMPAIGN_STAGE_NAME", "JUSTIN_STAGE_ID"),
        "project": options.project or first("SAM_PROJECT_NAME", "SAM_PROJECT"),
        "submitted_by": options.submitted_by or first("GRID_USER", "Owner"),
    }
    return without_empty(fields)


def name_unit(
    options: Options,
    environment: Dict[str, str],
    ad: ClassAd,
    inputs: Iterable[Entry],
) -> Optional[str]:
    """Return what a retry has in common with its first try.

    The one input, else the index within the task. A list without a number in its name, such as
    `files.txt`, has something for each job of a submission: it counts where there is no index.
    """
    if options.unit:
        return options.unit
    names = {str(entry["name"]) for entry in inputs if entry.get("role") == "primary"}
    own = {name for name in names if not _is_list_for_all(name)}
    index = None if len(own) == 1 else _index(environment, ad)
    if index is None and len(own or names) == 1:
        return (own or names).pop()
    return index


def _is_list_for_all(name: str) -> bool:
    return name.endswith((".txt", ".list", ".lst")) and not any(map(str.isdigit, name))


def _index(environment: Dict[str, str], ad: ClassAd) -> Optional[str]:
    """Return the number of a job in its submission, or what stands for it."""
    # Jobs of a DAG (jobsub's --maxConcurrent) all are process 0
    for name in ("JOBSUBJOBSECTION", "PROCESS"):
        if environment.get(name):
            return environment[name]
    index = environment.get("SLURM_ARRAY_TASK_ID") or _index_in_grid_engine(environment)
    if index and _is_one_of_several(environment):
        return "{}.{}".format(index, environment.get("SLURM_PROCID"))
    return index or _number_in_submission(ad)


def _number_in_submission(ad: ClassAd) -> Optional[str]:
    """Return a job's process number, after the name of its node where it is one of a DAG."""
    process, node = ad.get("ProcId"), ad.get("DAGNodeName")
    if not node:
        return None if process in (None, "") else str(process)
    return "{}.{}".format(node, process) if process else str(node)


def _integer(text: Optional[str], default: int) -> int:
    try:
        return int(text or "")
    except ValueError:
        return default
