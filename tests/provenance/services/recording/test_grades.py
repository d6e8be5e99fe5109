"""The grade of a job is the closure level of its bundle.

On its page, in its row, in the bundle itself, whatever is lacking.
"""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.bundles.job_bundle import build_bundle
from jobprov.provenance.services.code.repositories import register_repository
from jobprov.provenance.services.intake.blobs import settle_blob
from jobprov.provenance.services.recording.jobs import record_jobs
from jobprov.provenance.services.recording.submissions import Submission
from jobprov.provenance.services.reruns.capsules import StoredCapsule, register_capsule
from jobprov.provenance.services.work.queue import Parts, drain
from tests.library.databases import on_sqlite_alone
from tests.library.git import git
from tests.library.production import shown_job
from tests.library.productions.joining import (
    EXPERIMENT,
    FCL,
    GOOD,
    INPUT,
    WORDS,
    joining_repository,
    record_body,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LARGE = b"\0" * (16 * 1024 * 1024 + 1)
HELD, NEVER_SENT, SENT_LATER = b"held\n", "0f" * 32, b"sent later\n"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def entry(name: str, data: bytes | None = None, **more: Any) -> dict[str, Any]:
    facts = {} if data is None else {"sha256": digest(data), "size_bytes": len(data)}
    return {"name": name, "path": name, **facts, **more}


SMALL = entry("numbers.txt", INPUT)
TARBALL = {"name": "joining", "tarball": {"sha256": digest(HELD), "path": "code.tar"}}
PRODUCT = {
    "name": "release",
    "product": {"manager": "ups", "version": "v1", "prefix": "/cvmfs/release/v1"},
}
VARIANTS: dict[str, tuple[dict[str, Any], str, str]] = {
    # what is other than in the sample, level without a capsule, level with one
    "complete": ({}, "L2", "L4"),
    "large input held": ({"inputs": [SMALL, entry("large", LARGE)]}, "L2", "L4"),
    "large input never sent": (
        {"inputs": [SMALL, {"name": "l", "sha256": NEVER_SENT, "size_bytes": 1 << 30}]},
        "L2",
        "L3",
    ),
    "large input by md5": (
        {"inputs": [{"name": "l", "checksums": ["md5:1"], "size_bytes": 1 << 30}]},
        "L2",
        "L3",
    ),
    "large input by adler32": (
        {"inputs": [{"name": "l", "checksums": ["adler32:1"], "size_bytes": 1 << 30}]},
        "L2",
        "L3",
    ),
    "small input by md5": (
        {"inputs": [{"name": "s", "checksums": ["md5:1"], "size_bytes": 5}]},
        "L1",
        "L1",
    ),
    "small input never sent": (
        {"inputs": [{"name": "s", "sha256": NEVER_SENT, "size_bytes": 5}]},
        "L1",
        "L1",
    ),
    "small input sent later": ({"inputs": [entry("s", SENT_LATER)]}, "L2", "L4"),
    "input of unknown size": ({"inputs": [{"name": "s", "sha256": NEVER_SENT}]}, "L1", "L1"),
    "held input of unknown size": (
        {"inputs": [{"name": "s", "sha256": digest(LARGE)}]},
        "L2",
        "L4",
    ),
    "input without checksum": ({"inputs": [{"name": "s", "size_bytes": 1 << 30}]}, "L1", "L1"),
    "input that the job made": (
        {"inputs": [SMALL, {"name": "joined.txt", "path": "joined.txt"}]},
        "L2",
        "L4",
    ),
    "input that was never there": ({"inputs": [{"name": "s", "status": "skipped"}]}, "L2", "L4"),
    "no inputs": ({"inputs": []}, "L2", "L4"),
    "no command": ({"command": {"working_directory": "/scratch"}}, "L0", "L0"),
    "no step to replay": (
        {"command": {"steps": [{"name": "a", "role": "stage_in", "argv": ["cp"]}]}},
        "L0",
        "L0",
    ),
    "standard input": ({"command": {"argv": ["cat"], "stdin_sha256": NEVER_SENT}}, "L1", "L1"),
    "no environment": ({"environment": {"umask": "0022"}}, "L0", "L0"),
    "empty environment": ({"environment": {"variables": {}}}, "L2", "L4"),
    "listing never sent": (
        {"environment": {"variables": {"A": "b"}, "packages_sha256": NEVER_SENT}},
        "L0",
        "L0",
    ),
    "image by tag": (
        {"environment": {"variables": {"A": "b"}, "container": {"image": "sl7"}}},
        "L2",
        "L4",
    ),
    "script held": ({"scripts": [{"name": "s.sh", "sha256": digest(HELD)}]}, "L2", "L4"),
    "script never sent": ({"scripts": [{"name": "s.sh", "sha256": NEVER_SENT}]}, "L0", "L0"),
    "fcl never sent": (
        {"configurations": [{"files": [{"name": "a.fcl", "sha256": NEVER_SENT}]}]},
        "L0",
        "L0",
    ),
    "conditions held": (
        {"conditions": [{"database": "d", "payload_sha256": digest(HELD)}]},
        "L2",
        "L4",
    ),
    "conditions by tag": ({"conditions": [{"database": "d", "tag": "v1"}]}, "L1", "L1"),
    "changes not sent": ({"software": [{"is_dirty": True}]}, "L0", "L0"),
    "tar file held": ({"software": [TARBALL]}, "L2", "L4"),
    "tar file never sent": (
        {"software": [{"name": "t", "tarball": {"sha256": NEVER_SENT}}]},
        "L0",
        "L0",
    ),
    "product alone": ({"software": [PRODUCT]}, "L2", "L4"),
    "product and repository": ({"software": [{}, PRODUCT]}, "L2", "L4"),
    "repository nobody registered": (
        {"software": [{"repository": "https://git.example.org/other.git"}]},
        "L0",
        "L0",
    ),
    "submodule never registered": ({"software": [{"repository": "SUBMODULE"}]}, "L0", "L0"),
}
# a capsule is found by the software list: a record without one has none
WITHOUT_SOFTWARE: dict[str, tuple[dict[str, Any], str]] = {
    "script alone": ({"scripts": [{"name": "s.sh", "sha256": digest(HELD)}]}, "L2"),
    "no code": ({}, "L0"),
}


def with_submodule(folder: Path, other: Path) -> Path:
    """Return a repository that holds another one, which nobody registered."""
    git(other.parent, "clone", "--quiet", str(other), str(folder))
    (folder / ".gitmodules").write_text(
        '[submodule "inner"]\n path = inner\n url = https://git.example.org/inner.git\n'
    )
    git(folder, "add", ".gitmodules")
    git(folder, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},inner")
    git(folder, "commit", "--quiet", "--message=with a submodule")
    return folder


def variants(folder: Path) -> dict[str, tuple[dict[str, Any], list[str]]]:
    """Return records and the levels that they have.

    Each without a capsule, and once more in a stage with one.
    """
    plain = joining_repository(folder / "joining")
    places = {"": plain, "SUBMODULE": with_submodule(folder / "outer", plain)}
    heads = {name: git(place, "rev-parse", "HEAD") for name, place in places.items()}
    base = json.loads(record_body(GOOD, heads[""], plain))
    made: dict[str, tuple[dict[str, Any], list[str]]] = {}
    for name, (changes, poor, rich) in VARIANTS.items():
        software = [
            _entry(base["software"][0], change, places, heads)
            for change in changes.get("software", [{}])
        ]
        for stage, level in (("bare", poor), ("with a capsule", rich)):
            made[f"{name}, {stage}"] = (
                {**base, **changes, "software": software, "task": {"stage": stage}},
                [level],
            )
    for name, (changes, level) in WITHOUT_SOFTWARE.items():
        made[name] = ({**base, **changes, "software": []}, [level])
    for number, (record, _level) in enumerate(made.values()):
        record["job_id"] = f"0f8b6a4e-3c51-5a0e-9c3f-{number:012d}"
    return made


def _entry(
    plain: dict[str, Any], change: dict[str, Any], places: dict[str, Path], heads: dict[str, str]
) -> Any:
    if "tarball" in change or "product" in change:
        return change
    place = change.get("repository", "")
    return {
        **plain,
        **change,
        **({"repository": str(places[place]), "revision": heads[place]} if place in places else {}),
    }


@on_sqlite_alone
@pytest.mark.slow
def test_grade_is_the_level_of_the_bundle_whatever_is_lacking(parts: Parts, tmp_path: Path) -> None:
    wanted = variants(tmp_path)
    decoded = [decode_record(json.dumps(record).encode()) for record, _ in wanted.values()]
    held = [parts.store.put(data).sha256 for data in (FCL, WORDS, INPUT, HELD, LARGE)]
    later = parts.store.put(SENT_LATER).sha256
    submissions = [Submission(one, NOW, "tester", None) for one in decoded]
    parts.writer.run(lambda writing: record_jobs(writing, submissions))
    for name in ("joining", "outer"):
        parts.writer.run(
            lambda writing, name=name: register_repository(writing, name, str(tmp_path / name))
        )  # type: ignore[misc]
    for sha256 in held:
        parts.writer.run(lambda writing, sha256=sha256: settle_blob(writing, EXPERIMENT, sha256))  # type: ignore[misc]
    served = [
        record["job_id"]
        for record, _ in wanted.values()
        if record["task"]["stage"] == "with a capsule"
    ]
    stored = StoredCapsule("image", parts.store.put(b"image").sha256, 5)
    parts.writer.run(
        lambda writing: register_capsule(writing, stored, name="r", jobs=served), received_at=NOW
    )
    drain(parts, HANDLERS)
    parts.writer.run(lambda writing: settle_blob(writing, EXPERIMENT, later))
    drain(parts, HANDLERS)

    found = {}
    for name, (record, _) in wanted.items():
        with parts.database.reading.connect() as connection:
            shown = shown_job(connection, parts.store, record["job_id"])
        bundle = build_bundle(parts.database, parts.writer, parts.store, record["job_id"])
        found[name] = sorted({shown["grade"], shown["summary"]["grade"], bundle.level})

    assert found == {name: levels for name, (_, levels) in wanted.items()}
