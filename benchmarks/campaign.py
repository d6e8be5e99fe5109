"""A generated campaign, with the shapes that make provenance hard.

The same seed gives the same records. A tree is 1000 raw files: raw -> artdaq -> reco -> pid one to
one, caf 20:1, concat 50:1; 3051 successful jobs and 4051 files for a concat, as the measurements of
comparable systems used. 3 % of the jobs fail and are retried. Added to those trees: a diamond at
every caf (it reads reco and pid files of the same units), a hub (one flux file that every pid job
of a tree reads), a calibration file that the reco jobs of ten trees share, reco jobs that skim into
two or three outputs, two reprocessings with later code (5 % and 2 % of reco units again, the same
names with other checksums), names that recur (`hist.root` of every hundredth job), and names that a
second experiment has too (1 % of reco units). Records arrive a little out of order.

A record has 6 kB: 60 environment variables (48 of a site and stage, 12 of a job), a configuration
of 15 fcl files (2 % of jobs have one of their own), two software entries, a log.
"""

import hashlib
import json
import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple, Self

SEED = 20260101
EXPERIMENT = "nova"
SECOND_EXPERIMENT = "sterile"
UNITS = 1000  # raw files a tree
CONCAT = "nova_concat_t{tree:04d}.root"

_ARRIVAL_WINDOW = 40
_FIRST_SECOND = 1_767_225_600  # 2026-01-01
_UNITS_A_CAF = 20
_FCL_OF_STAGE = 5
"""Of the 15 fcl files of a job, those that are of its stage; all stages share the others."""
_SHARE_OF_FAILURES = 0.03
_SHARE_OF_HISTOGRAMS = 0.01
_HISTOGRAM = "hist.root"
_SHARE_OF_SECOND_EXPERIMENT = 0.01
_SKIMS = {"numu": 0.2, "nue": 0.1}
_FAILURE = {"code": 65, "message": "cet::exception caught in art"}
_REPROCESSINGS = {"r2": 0.05, "r3": 0.02}
_RELEASES = {"": "S24-01-01", "r2": "S24-05-01", "r3": "S24-09-01"}
_STAGES = ("artdaq", "reco", "pid", "caf", "concat")
_SITES = ("FNAL", "UChicago", "Wisconsin", "Nebraska", "SMU", "Caltech")


class GeneratedJob(NamedTuple):
    """A record as a client would send it, whose it is, and the blobs that it uploads before."""

    body: bytes
    experiment: str
    blobs: list[str]


class _Plan(NamedTuple):
    """One execution: what it reads, and what it writes by name."""

    stage: str
    unit: str
    inputs: list[dict[str, Any]]
    outputs: list[str]
    attempt: int = 0
    has_failed: bool = False
    variant: str = ""  # reprocessing writes the same names with other bytes
    experiment: str = EXPERIMENT


def generate_jobs(count: int, *, first: int = 0, seed: int = SEED) -> Iterator[GeneratedJob]:
    """Yield `count` jobs of the campaign from the one at place `first` on."""
    place, tree = 0, 0
    while place < first + count:
        chance = random.Random(f"{seed}-{tree}")  # noqa: S311 - has to repeat, not to be secret
        plans = _shuffled(list(_tree(tree, chance)), chance)
        for number, plan in enumerate(plans[: max(0, first + count - place)]):
            if place + number >= first:
                yield _job(plan, tree, number)
        place, tree = place + len(plans), tree + 1


def _shuffled(plans: list[_Plan], chance: random.Random) -> list[_Plan]:
    """Return the jobs a little out of order, as they arrive.

    A concat comes when everything is there.
    """
    order = sorted(
        range(len(plans) - 1), key=lambda place: place + chance.random() * _ARRIVAL_WINDOW
    )
    return [*(plans[place] for place in order), plans[-1]]


class _UnitFiles(NamedTuple):
    """The files of a unit, by the step that makes each."""

    name: str
    raw: str
    artdaq: str
    reco: str
    pid: str

    @classmethod
    def of(cls, tree: int, unit: int) -> Self:
        """Return the names of a unit's files."""
        name = f"nova_r{tree:05d}_s{unit:04d}"
        return cls(
            name=name,
            raw=f"{name}.raw.root",
            artdaq=f"{name}.artdaq.root",
            reco=f"{name}.reco.root",
            pid=f"{name}.pid.root",
        )


def _tree(tree: int, chance: random.Random) -> Iterator[_Plan]:
    read_by_caf: list[str] = []
    cafs: list[str] = []
    for unit in range(UNITS):
        files = _UnitFiles.of(tree, unit)
        yield from _jobs_of_unit(files, tree, chance)
        read_by_caf += [files.reco, files.pid]
        if len(read_by_caf) == 2 * _UNITS_A_CAF:
            caf = f"nova_t{tree:04d}_m{len(cafs):03d}.caf.root"
            yield from _attempts(_Plan("caf", caf, _named(read_by_caf), [caf]), chance)
            cafs.append(caf)
            read_by_caf = []
    concat = CONCAT.format(tree=tree)
    yield _Plan("concat", concat, _named(cafs), [concat])


def _jobs_of_unit(files: _UnitFiles, tree: int, chance: random.Random) -> Iterator[_Plan]:
    """Yield the jobs of a unit, with those that process it again."""
    flux = {"name": f"flux_t{tree:04d}.root", "role": "secondary"}
    calibration = {"name": f"calibration_v{tree // 10:03d}.root", "role": "shared"}
    artdaq = _Plan("artdaq", files.raw, _named([files.raw]), [files.artdaq])
    yield from _attempts(artdaq, chance)

    outputs = [files.reco]
    for skim, share in _SKIMS.items():
        if chance.random() < share:
            outputs.append(f"{files.name}.{skim}.root")
    reco = _Plan("reco", files.artdaq, [{"name": files.artdaq}, calibration], [files.reco])
    yield from _attempts(reco._replace(outputs=outputs), chance)
    yield from _attempts(
        _Plan("pid", files.reco, [{"name": files.reco}, flux], [files.pid]), chance
    )

    for variant, share in _REPROCESSINGS.items():
        if chance.random() < share:
            yield reco._replace(variant=variant)
    if chance.random() < _SHARE_OF_SECOND_EXPERIMENT:
        yield reco._replace(experiment=SECOND_EXPERIMENT)


def _named(names: list[str]) -> list[dict[str, Any]]:
    return [{"name": name} for name in names]


def _attempts(plan: _Plan, chance: random.Random) -> Iterator[_Plan]:
    """Yield the failed attempt before, where there is one, then the job.

    Every hundredth writes a name that all use.
    """
    if chance.random() < _SHARE_OF_FAILURES:
        yield plan._replace(outputs=[], has_failed=True)
        plan = plan._replace(attempt=1)
    if chance.random() < _SHARE_OF_HISTOGRAMS:
        plan = plan._replace(outputs=[*plan.outputs, _HISTOGRAM])
    yield plan


def _job(plan: _Plan, tree: int, number: int) -> GeneratedJob:
    owner = "" if plan.experiment == EXPERIMENT else f"{plan.experiment}-"
    key = f"{owner}{plan.stage}-{plan.unit}-{plan.attempt}-{plan.variant}"
    suffix = f"-{plan.variant}" if plan.variant else ""
    dice = int(_sha256(key)[:15], 16)
    site = _SITES[dice % len(_SITES)]
    started = _FIRST_SECOND + tree * 86_400 + number * 20
    wall_seconds = 600 + dice % 9000 + dice % 1000 / 1000
    cluster = 80_000 + tree * 5 + _STAGES.index(plan.stage)
    configuration, own = _configuration(plan.stage, key if dice % 50 == 0 else "")
    log = _sha256(f"log-{key}")
    record: dict[str, Any] = {
        "schema_version": 1,
        "job_id": str(uuid.UUID(_sha256(f"job-{key}")[:32], version=5)),
        "experiment": plan.experiment,
        "witness": "wrapper",
        "state": "failed" if plan.has_failed else "succeeded",
        "started_at": _time(started),
        "ended_at": _time(started + int(wall_seconds)),
        "task": {
            "task_id": f"nova-prod5-{plan.stage}{suffix}-{tree:04d}",
            "campaign": f"prod5{suffix}",
            "stage": plan.stage,
            "unit": plan.unit,
        },
        "batch": {
            "system": "htcondor",
            "id": f"{cluster}.{number}@jobsub0{dice % 3}.fnal.gov",
            "attempt": plan.attempt,
        },
        "command": {
            "argv": ["art", "-c", f"{plan.stage}.fcl", "-s", plan.inputs[0]["name"]],
            "working_directory": "/srv",
        },
        "exit": _FAILURE if plan.has_failed else {"code": 0},
        "configurations": [configuration],
        "software": _software(_RELEASES[plan.variant]),
        "environment": {
            "variables": {**_shared_variables(plan.stage, site), **_own_variables(key, dice)}
        },
        "host": {"hostname": f"wn{dice % 400:04d}.{site.lower()}.edu", "site": site, "cores": 1},
        "resources": {
            "wall_seconds": wall_seconds,
            "cpu_user_seconds": round(wall_seconds * 0.93, 2),
            "cpu_system_seconds": round(wall_seconds * 0.01, 2),
            "max_rss_bytes": 1_500_000_000 + dice % 500_000_000,
        },
        "inputs": [_seen(file["name"], "", file.get("role", "primary")) for file in plan.inputs],
        "outputs": _outputs(plan, key, owner),
        "logs": [{"name": f"{plan.stage}.out", "sha256": log, "size_bytes": 20_000 + dice % 9000}],
        "hook": {"version": "1", "python": "3.9.18"},
    }
    body = json.dumps(record, separators=(",", ":")).encode()
    return GeneratedJob(body, plan.experiment, [log, *own])


def _outputs(plan: _Plan, key: str, owner: str) -> list[dict[str, Any]]:
    """Return what a job wrote: each has its own histogram, and retries write the same files."""
    outputs = []
    for name in plan.outputs:
        salt = key if name == _HISTOGRAM else owner + plan.variant
        outputs.append(_made(name, salt))
    return outputs


def shared_blobs() -> list[str]:
    """Return the digests that jobs of the campaign have in common: the fcl files of each stage."""
    return [file["sha256"] for stage in _STAGES for file in _configuration(stage, "")[0]["files"]]


def _configuration(stage: str, own: str) -> tuple[dict[str, Any], list[str]]:
    """Return the configuration of a stage, and the digests in it that are of this job alone."""
    files = [_fcl_file(stage, place) for place in range(15)]
    if own:
        files[0] = {**files[0], "sha256": _sha256(f"fcl-{own}")}
    configuration = {
        "step": "art",
        "main": f"{stage}.fcl",
        "search_path": ["job", "/cvmfs/nova/fcl"],
        "files": files,
    }
    return configuration, [files[0]["sha256"]] if own else []


@cache
def _fcl_file(stage: str, place: int) -> dict[str, Any]:
    name, found_in = f"services_common_{place:02d}.fcl", 1
    if place == 0:
        name, found_in = f"{stage}.fcl", 0
    elif place < _FCL_OF_STAGE:
        name = f"services_{stage}_{place:02d}.fcl"
    return {
        "name": name,
        "sha256": _sha256(f"fcl-{name}"),
        "found_in": found_in,
        "software": "novasoft",
    }


@cache
def _software(release: str) -> list[dict[str, Any]]:
    address = "https://github.com/novaexperiment"
    return [
        {
            "name": name,
            "evidence": "observed",
            "vcs": "git",
            "repository": f"{address}/{name}.git",
            "requested_ref": ref,
            "revision": _sha256(f"{name}-{ref}")[:40],
            "is_dirty": False,
        }
        for name, ref in (("novasoft", release), ("production-scripts", "v2.31"))
    ]


@cache
def _shared_variables(stage: str, site: str) -> dict[str, str]:
    places = {
        f"NOVA_{place:02d}_DIR": f"/cvmfs/nova/{_sha256(f'{stage}{place}')[:10]}/v{place}"
        for place in range(47)
    }
    return {**places, "GLIDEIN_Site": site}


def _own_variables(key: str, dice: int) -> dict[str, str]:
    words = {f"JOBSUB_{place:02d}": f"{(dice >> place) % 10**12}" for place in range(9)}
    return {
        **words,
        "JOBSUBJOBID": key,
        "_CONDOR_SCRATCH_DIR": f"/srv/dir_{dice % 10**6}",
        "HOSTTIME": str(dice % 10**9),
    }


def _seen(name: str, salt: str, role: str) -> dict[str, Any]:
    digest = _sha256(f"file-{name}-{salt}")
    size = 20_000_000 + int(digest[:6], 16)
    return {"name": name, "size_bytes": size, "checksums": [f"adler32:{digest[:8]}"], "role": role}


def _made(name: str, salt: str) -> dict[str, Any]:
    seen = _seen(name, salt, "")
    del seen["role"]
    tier = name.rpartition(".root")[0].rpartition(".")[2]
    bytes_ = _sha256(f"bytes-{name}-{salt}")
    return {
        **seen,
        "sha256": bytes_,
        "data_tier": tier,
        "file_format": "artroot",
        "event_count": 1000,
    }


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def _day(number: int) -> str:
    return datetime.fromtimestamp(number * 86_400, UTC).strftime("%Y-%m-%dT")


def _time(second: int) -> str:
    """Return a moment as text; `strftime` for each would cost more than the rest of a record."""
    day, rest = divmod(second, 86_400)
    return f"{_day(day)}{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}Z"
