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
from typing import Any, NamedTuple

SEED = 20260101
EXPERIMENT = "nova"
SECOND_EXPERIMENT = "sterile"
UNITS = 1000  # raw files a tree
CONCAT = "nova_concat_t{tree:04d}.root"

_ARRIVAL_WINDOW = 40
_FIRST_SECOND = 1_767_225_600  # 2026-01-01
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


def _tree(tree: int, chance: random.Random) -> Iterator[_Plan]:
    flux = {"name": f"flux_t{tree:04d}.root", "role": "secondary"}
    calibration = {"name": f"calibration_v{tree // 10:03d}.root", "role": "shared"}
    last: list[str] = []
    for unit in range(UNITS):
        name = f"nova_r{tree:05d}_s{unit:04d}"
        raw, daq, reco, pid = (f"{name}.{word}.root" for word in ("raw", "artdaq", "reco", "pid"))
        yield from _attempts(_Plan("artdaq", raw, [{"name": raw}], [daq]), chance)
        skims = [f"{name}.numu.root"] * (chance.random() < 0.2) + [f"{name}.nue.root"] * (  # noqa: PLR2004
            chance.random() < 0.1  # noqa: PLR2004
        )
        again = _Plan("reco", daq, [{"name": daq}, calibration], [reco])
        yield from _attempts(again._replace(outputs=[reco, *skims]), chance)
        yield from _attempts(_Plan("pid", reco, [{"name": reco}, flux], [pid]), chance)
        last += [reco, pid]
        yield from (
            again._replace(variant=name)
            for name, share in _REPROCESSINGS.items()
            if chance.random() < share
        )
        if chance.random() < 0.01:  # noqa: PLR2004
            yield again._replace(experiment=SECOND_EXPERIMENT)
        if unit % 20 == 19:  # noqa: PLR2004
            caf = f"nova_t{tree:04d}_m{unit // 20:03d}.caf.root"
            yield from _attempts(
                _Plan("caf", caf, [{"name": read} for read in last], [caf]), chance
            )
            last = []
    cafs = [{"name": f"nova_t{tree:04d}_m{place:03d}.caf.root"} for place in range(UNITS // 20)]
    yield _Plan("concat", CONCAT.format(tree=tree), cafs, [CONCAT.format(tree=tree)])


def _attempts(plan: _Plan, chance: random.Random) -> Iterator[_Plan]:
    """Yield the failed attempt before, where there is one, then the job.

    Every hundredth writes a name that all use.
    """
    if chance.random() < 0.03:  # noqa: PLR2004
        yield plan._replace(outputs=[], has_failed=True)
        plan = plan._replace(attempt=1)
    yield plan._replace(outputs=[*plan.outputs, "hist.root"]) if chance.random() < 0.01 else plan  # noqa: PLR2004


def _job(plan: _Plan, tree: int, number: int) -> GeneratedJob:
    owner = "" if plan.experiment == EXPERIMENT else f"{plan.experiment}-"
    key = f"{owner}{plan.stage}-{plan.unit}-{plan.attempt}-{plan.variant}"
    suffix = plan.variant and f"-{plan.variant}"
    dice = int(_sha256(key)[:15], 16)
    site, start = _SITES[dice % len(_SITES)], _FIRST_SECOND + tree * 86_400 + number * 20
    wall = 600 + dice % 9000 + dice % 1000 / 1000
    configuration, own = _configuration(plan.stage, key if dice % 50 == 0 else "")
    log = _sha256(f"log-{key}")
    executable = ["art", "-c", f"{plan.stage}.fcl", "-s", plan.inputs[0]["name"]]
    record: dict[str, Any] = {
        "schema_version": 1,
        "job_id": str(uuid.UUID(_sha256(f"job-{key}")[:32], version=5)),
        "experiment": plan.experiment,
        "witness": "wrapper",
        "state": "failed" if plan.has_failed else "succeeded",
        "started_at": _time(start),
        "ended_at": _time(start + int(wall)),
        "task": {
            "task_id": f"nova-prod5-{plan.stage}{suffix}-{tree:04d}",
            "campaign": f"prod5{suffix}",
            "stage": plan.stage,
            "unit": plan.unit,
        },
        "batch": {
            "system": "htcondor",
            "id": (
                f"{80_000 + tree * 5 + _STAGES.index(plan.stage)}.{number}"
                f"@jobsub0{dice % 3}.fnal.gov"
            ),
            "attempt": plan.attempt,
        },
        "command": {"argv": executable, "working_directory": "/srv"},
        "exit": {"code": 65, "message": "cet::exception caught in art"}
        if plan.has_failed
        else {"code": 0},
        "configurations": [configuration],
        "software": _software(_RELEASES[plan.variant]),
        "environment": {
            "variables": {**_shared_variables(plan.stage, site), **_own_variables(key, dice)}
        },
        "host": {"hostname": f"wn{dice % 400:04d}.{site.lower()}.edu", "site": site, "cores": 1},
        "resources": {
            "wall_seconds": wall,
            "cpu_user_seconds": round(wall * 0.93, 2),
            "cpu_system_seconds": round(wall * 0.01, 2),
            "max_rss_bytes": 1_500_000_000 + dice % 500_000_000,
        },
        "inputs": [_seen(file["name"], "", file.get("role", "primary")) for file in plan.inputs],
        "outputs": [
            _made(name, key if name == "hist.root" else owner + plan.variant)
            for name in plan.outputs
        ],
        "logs": [{"name": f"{plan.stage}.out", "sha256": log, "size_bytes": 20_000 + dice % 9000}],
        "hook": {"version": "1", "python": "3.9.18"},
    }
    body = json.dumps(record, separators=(",", ":")).encode()
    return GeneratedJob(body, plan.experiment, [log, *own])


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
    name = (
        f"{stage}.fcl"
        if place == 0
        else f"services_{stage if place < 5 else 'common'}_{place:02d}.fcl"  # noqa: PLR2004
    )
    return {
        "name": name,
        "sha256": _sha256(f"fcl-{name}"),
        "found_in": 0 if place == 0 else 1,
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
