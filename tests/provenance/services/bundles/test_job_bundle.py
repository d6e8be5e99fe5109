"""Bundles of recorded jobs are planned once, and have the same bytes afterwards.

There is another plan when more is known.
"""

import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest
from sqlalchemy import func, select

from jobprov.provenance.db.tables import BundlePlan, Possession
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.services.bundles.job_bundle import Bundle, build_bundle, earlier_bundle
from jobprov.provenance.services.bundles.plans import note_digest
from jobprov.provenance.services.intake.blobs import Upload, grant_possession
from jobprov.provenance.services.reruns.execution import unpack
from jobprov.provenance.services.work.queue import Parts
from tests.library.databases import on_sqlite_alone
from tests.library.git import git
from tests.library.productions.joining import (
    BAD,
    CHECKOUT,
    EXPERIMENT,
    GOOD,
    INPUT,
    PROGRAM,
)

INPUT_SHA256 = hashlib.sha256(INPUT).hexdigest()


def build(sample: Parts, job_id: str = GOOD, number: int | None = None) -> Bundle:
    if number is not None:
        return earlier_bundle(sample.database, sample.store, job_id, number)
    return build_bundle(sample.database, sample.writer, sample.store, job_id)


def contents(bundle: Bundle) -> dict[str, bytes]:
    """Return the bytes of every file below `data/`."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(b"".join(bundle.stream()))) as tar:
        for member in tar:
            if file := tar.extractfile(member):
                found[member.name.split("/data/", 1)[-1]] = file.read()
    return found


@pytest.mark.slow
def test_bundle_holds_what_was_recorded_and_resolved(sample: Parts, sample_checkout: Path) -> None:
    bundle = build(sample)

    found = contents(bundle)
    assert (bundle.level, bundle.number, bundle.job_id) == ("L2", 1, GOOD)
    assert found["src/joining/bin/join"] == PROGRAM
    reference = json.loads(found["git/joining/ref.json"])
    assert reference["commit"] == git(sample_checkout, "rev-parse", "HEAD")
    assert reference["requested_ref"] == "v1"
    assert b"first: 1" in found["fcl/evaluated.fcl"]


@pytest.mark.slow
@on_sqlite_alone
def test_tar_has_the_size_that_was_told(sample: Parts) -> None:
    bundle = build(sample)

    assert sum(map(len, bundle.stream())) == bundle.size_bytes


@pytest.mark.slow
def test_second_build_is_the_same_plan_and_the_same_bytes(sample: Parts) -> None:
    first = build(sample)
    second = build(sample)

    assert second.etag == first.etag
    assert b"".join(second.stream()) == b"".join(first.stream())
    with sample.database.reading.connect() as connection:
        assert connection.execute(select(func.count()).select_from(BundlePlan)).scalar_one() == 1


@pytest.mark.slow
def test_digest_of_the_first_build_stands(sample: Parts) -> None:
    bundle = build(sample)
    sha256 = hashlib.sha256(b"".join(bundle.stream())).hexdigest()

    sample.writer.run(lambda writing: note_digest(writing, bundle.key, sha256))
    sample.writer.run(lambda writing: note_digest(writing, bundle.key, "0" * 64))

    assert build(sample).tar_sha256 == sha256


def take_input_away(sample: Parts) -> None:
    table = Possession.__table__
    query = table.delete().where(table.c.sha256 == INPUT_SHA256)  # type: ignore[attr-defined]
    sample.writer.run(lambda writing: writing.connection.execute(query))


@pytest.mark.slow
def test_blob_that_arrives_later_makes_the_next_plan_and_the_first_one_stays(sample: Parts) -> None:
    take_input_away(sample)
    poor = build(sample)
    before = b"".join(poor.stream())

    sample.writer.run(lambda writing: grant_possession(writing, [Upload(EXPERIMENT, INPUT_SHA256)]))
    rich = build(sample)

    assert (poor.level, poor.number, rich.level, rich.number) == ("L1", 1, "L2", 2)
    assert "inputs/files/numbers.txt" not in contents(poor)
    assert contents(rich)["inputs/files/numbers.txt"] == INPUT
    assert b"".join(build(sample, number=1).stream()) == before


@pytest.mark.slow
def test_blob_that_only_another_experiment_sent_is_not_in_the_bundle(sample: Parts) -> None:
    take_input_away(sample)
    sample.writer.run(lambda writing: grant_possession(writing, [Upload("other", INPUT_SHA256)]))

    bundle = build(sample)

    assert bundle.level == "L1"
    assert INPUT_SHA256 not in {member.sha256 for member in bundle.plan.members}


@pytest.mark.slow
def test_plan_that_was_never_made_is_not_found(sample: Parts) -> None:
    build(sample)

    with pytest.raises(NotFoundError, match="no such bundle plan"):
        build(sample, number=2)


@pytest.mark.slow
@on_sqlite_alone
def test_git_reads_the_pack_and_checks_out_what_src_holds(sample: Parts, tmp_path: Path) -> None:
    bundle = build(sample, BAD)
    data = unpack(io.BytesIO(b"".join(bundle.stream())), tmp_path / "bundle") / "data"
    commit = json.loads((data / "git/joining/ref.json").read_text())["commit"]
    repository = tmp_path / "from-pack"
    repository.mkdir()

    git(repository, "init", "--quiet")
    with (data / "git/joining/objects.pack").open("rb") as pack:
        subprocess.run(
            ["git", "index-pack", "--strict", "--stdin"],
            cwd=repository,
            stdin=pack,
            check=True,
            capture_output=True,
        )
    (repository / ".git/shallow").write_bytes((data / "git/joining/shallow").read_bytes())
    git(repository, "-c", "advice.detachedHead=false", "checkout", "--quiet", commit)

    git(repository, "fsck", "--strict", "--full")
    rows = [
        line.split("\t") for line in (data / "src/joining.modes.tsv").read_text().splitlines()[1:]
    ]
    assert git(repository, "log", "--format=%H").split() == [commit]
    assert sorted(row[2] for row in rows) == sorted(
        git(repository, "ls-files", "-z").strip("\0").split("\0")
    )
    for mode, sha256, path, stored, target in rows:
        if mode == "120000":
            assert (repository / path).readlink() == Path(target)
        else:
            content = (repository / path).read_bytes()
            assert hashlib.sha256(content).hexdigest() == sha256
            assert (data / stored).read_bytes() == content
            assert bool((repository / path).stat().st_mode & 0o100) == (mode == "100755")
    assert CHECKOUT not in (data / "command/steps.sh").read_text()
