"""Products and images: UPS, Spack with its environments, CVMFS, containers and packages.

The packages are those of the operating system.
"""

import base64
import hashlib
import json
import os
import sqlite3
import threading
import zlib
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.capture.files.hashing import Clock
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.surroundings import container, products
from jobprov.provenance.capture.surroundings import system_packages as system
from tests.library.hook import Runner, only_entry

ROOT, GCC, ART = "a2b3c4d5" * 4, "z7y6x5w4" * 4, "m2n3o4p5" * 4

# The header of a package that rpmbuild 4.20 made, as `rpm -i` puts it into rpmdb.sqlite
RPM_HEADER = (
    "c-lpkO=uoP7{_Pdq+hAUN~2LvITTF6cQZ4)GrI$dmXw;{SHM;xROx(eviRoRmv=WI=|u$bu7W3pf?kB8J$Mk$q"
    "9PtVc<8}{2L<bAy%fRLboSkU?7*|LzxhA&?6c3z>=HsABc%5WA>@f*hr<2o&>s)xf*mGZiwK!&eGUfefv<xPf`"
    "7&R4EXoZA3>~^{{YW|{|x<fu#@1wFn<C3H}prrH=$GTKZuutZ$p0){2%yi$J5h@w+e2xsbJ^8N5C(FXW+jEK8k"
    "u=0N(?CAAAh{m%;Z!{}6l}{1JE-`F#w&AM?Ke&%ys|@Pp95?ed&{2>Lbf!yQMDfET*>(c_r^R5w3516~F%gI6&"
    "B8SonP{d&CweZO88pkD;P4BdfW0heHdd}^=*UjlpZYv2O>26zB|6WrkW?}4|#`}N<(^HKj3??Ar_{u1#%1^)#9"
    "&%r;#{}%Xqr}uCkqNvk*s7G`F=Vz_k^U<*`es2T%ec-pSKW||E_sI7^*Y~c0AAtS?cpdyBcmv$#9W9Zj+9fRJB"
    "#He%O(@vB^R*q9qo%Be<kh23f3m$fInQ&?uAC$1hxN$YvM9YHgL1gFLxz<e+YOxgxz|JG!knv_F$v3*R7sYn%%"
    "w@{tY(feqm+<FNs$?+B+FCkgpgF5LTRtK6*+e*O%RWatE%ZPA+vtSwLi%<uE#bWk2c9(Xl>r%<!1IRj1Nk)uvB"
    "f1#=fq-J6jI?b9&R)rwFum<V?Bl>*ns*s@@$`dg5F!>utX}_C>jKDinvtX`hiamNA|5-IddrVO=NIw!{Bthyfj"
    "scFAHjY8FG5i=_WNpYN{|J1Q%(eyJQ0h5Gfk{m@n8epl1G?eq&vD=YJj-)Xw|TTRi=31>x-8%=Y~azjm?W!_pX"
    "gyG!r)W|%Pp3=0)j21>v#j?~SmRem<?+VVlSTcC|#9QZ5WhIqP6qb7<DN|Y$LRjrGrL^_T8Xs293soqqv(y_VY"
    "(9xH`2p<h-TDq6?XX=B{d@Vh&t|tyUU~bgZ{GcYiYrE@H1Vm_yx>V1mOK%HTc0~Atu%RflY-e0kx*roVLZ)T?u"
    "&#<$rMYt7h309P)9S(y%o~?+(^X@O+%LLaL8X4nQ9MzyZ7+>X}^_IE#Cn?wfy@"
)


def a_lock(folder: Path) -> str:
    """Make a Spack environment of two packages, one of them external; return its folder."""
    folder.mkdir()
    (folder / "spack.yaml").write_text("spack:\n  specs: [root]\n")
    lock = {
        "_meta": {"file-type": "spack-lockfile", "lockfile-version": 5, "specfile-version": 4},
        "roots": [{"hash": ROOT, "spec": "root@6.30"}],
        "concrete_specs": {
            ROOT: {"name": "root", "version": "6.30.06", "hash": ROOT},
            GCC: {"name": "gcc", "version": "13.1.0", "hash": GCC, "external": {"path": "/usr"}},
        },
    }
    (folder / "spack.lock").write_text(json.dumps(lock))
    return str(folder)


def listed(draft: Draft, environment: dict[str, str]) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry["product"] for entry in products.list_products(draft, environment)}


def test_builds_that_muse_set_up_are_products() -> None:
    """A Mu2e job named no software at all, so that nobody knew what its rerun needs."""
    musings = "/cvmfs/mu2e.opensciencegrid.org/Musings"
    environment = {
        "MUSE_WORK_DIR": "/exp/mu2e/app/users/me/work",
        "MUSE_BACKING": f" {musings}/SimJob/MDC2020z {musings}/Offline/v10_22_00",
        "MUSE_STUB": "al9-prof-e28-p057",
    }

    assert listed(Draft(), environment)["SimJob"] == {
        "manager": "muse",
        "version": "MDC2020z",
        "qualifiers": "al9-prof-e28-p057",
        "prefix": f"{musings}/SimJob/MDC2020z",
    }
    assert set(listed(Draft(), environment)) == {"SimJob", "Offline"}
    assert set(listed(Draft(), {"MUSE_WORK_DIR": f"{musings}/SimJob/MDC2020z"})) == {"SimJob"}


def test_packages_of_an_active_spack_environment_and_its_lock_are_kept(tmp_path: Path) -> None:
    folder, draft = a_lock(tmp_path / "env"), Draft()
    view = f"/cvmfs/x/spack/opt/root-6.30.06-{ROOT}"

    found = listed(draft, {"SPACK_ENV": folder, "PATH": f"/bin:{view}/bin:/usr/bin"})

    assert found == {
        "gcc": {"manager": "spack", "version": "13.1.0", "root_hash": GCC, "prefix": "/usr"},
        "root": {"manager": "spack", "version": "6.30.06", "root_hash": ROOT, "prefix": view},
    }
    kept = draft.record["extra"]["spack"]
    assert kept["environment"] == folder
    assert json.loads(draft.blobs[kept["lock_sha256"]])["roots"][0]["hash"] == ROOT
    assert draft.blobs[kept["yaml_sha256"]].startswith(b"spack:")


def test_loaded_packages_are_named_by_their_prefixes(tmp_path: Path) -> None:
    prefix = tmp_path / f"art-suite-3.15.00-{ART}"
    (prefix / ".spack").mkdir(parents=True)
    (prefix / ".spack" / "spec.json").write_text(
        json.dumps({"spec": {"nodes": [{"name": "art-suite", "version": "3.15.00", "hash": ART}]}})
    )
    folder_name = f"/opt/gcc-runtime-13.1.0-{GCC}"
    environment = {
        "SPACK_LOADED_HASHES": f"{ART[:7]}:{GCC}:{ROOT}",
        "CMAKE_PREFIX_PATH": f"{prefix}:{folder_name}",
    }

    assert listed(Draft(), environment) == {
        "art-suite": {
            "manager": "spack",
            "version": "3.15.00",
            "root_hash": ART,
            "prefix": str(prefix),
        },
        "gcc-runtime": {
            "manager": "spack",
            "version": "13.1.0",
            "root_hash": GCC,
            "prefix": folder_name,
        },
        ROOT: {"manager": "spack", "version": ROOT, "root_hash": ROOT},
    }


def test_lock_that_cannot_be_read_is_a_note(tmp_path: Path) -> None:
    (tmp_path / "spack.lock").write_text("{")
    draft = Draft()

    assert products.list_products(draft, {"SPACK_ENV": str(tmp_path)}) == []
    assert draft.notes[0].startswith("spack: ")


def test_ups_products_are_listed_with_what_set_them_up() -> None:
    environment = {
        "SETUP_ART": r"art v3_15_00 -f Linux64bit+3.10-2.17 -z /cvmfs/larsoft -q e26:prof",
        "ART_DIR": "/cvmfs/larsoft/art/v3_15_00",
        "SETUP_SOMETHING": "other v1",
        "SETUP_EMPTY": "",
    }

    assert listed(Draft(), environment) == {
        "art": {
            "manager": "ups",
            "version": "v3_15_00",
            "qualifiers": "e26:prof",
            "prefix": "/cvmfs/larsoft/art/v3_15_00",
        }
    }


def test_cvmfs_repository_that_only_the_command_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getxattr", lambda _path, _name: b"42", raising=False)

    (found,) = products.list_products(
        Draft(), {}, ["art", "-c", "/cvmfs/dune.opensciencegrid.org/job.fcl"]
    )

    assert (found["name"], found["product"]["version"]) == ("dune.opensciencegrid.org", "42")


def a_sif(path: Path) -> str:
    """Make a file with the head of a SIF image; return its digest."""
    content = b"#!/usr/bin/env run-singularity\n\0SIF_MAGIC\0" + b"01\0" + os.urandom(100_000)
    path.write_bytes(content)
    return "sha256:" + hashlib.sha256(content).hexdigest()


@pytest.mark.slow
def test_image_that_the_command_starts_is_named_with_its_digest(runner: Runner) -> None:
    digest = a_sif(runner.folder / "el9.sif")
    (runner.folder / "apptainer").write_text("#!/bin/sh\nsleep 1\n")
    (runner.folder / "apptainer").chmod(0o755)

    runner(
        "run",
        "--",
        "./apptainer",
        "--quiet",
        "exec",
        "--bind",
        "/cvmfs",
        "el9.sif",
        "art",
        "-c",
        "x.fcl",
    )

    record, blobs = only_entry(runner)
    found = record["environment"]["container"]
    assert (found["image"], found["digest"]) == ("el9.sif", digest)
    assert found["resolved_path"] == str(runner.folder / "el9.sif")
    assert digest[7:] not in blobs


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["singularity", "exec", "-B", "/x", "docker://almalinux:9", "ls"], "docker://almalinux:9"),
        (["/usr/bin/apptainer", "run", "/", "ls"], "/"),
        (["apptainer", "pull", "docker://almalinux:9"], None),
        (["apptainer", "exec", "nothing.sif", "ls"], None),
        (["echo", "exec"], None),
        (["apptainer"], None),
    ],
)
def test_image_is_what_stands_behind_the_action(words: list[str], expected: str | None) -> None:
    assert container._started(words) == expected


def test_podman_names_image_and_container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    container_id, image_id = "ab" * 32, "cd" * 32
    texts = {
        "/run/.containerenv": f'engine="podman-4.9"\nimage="quay.io/x:1"\nimageid="{image_id}"\n',
        "/proc/self/mountinfo": (
            f"1 2 0:1 /var/lib/containers/overlay-containers/{container_id}/userdata/hosts /etc\n"
        ),
    }
    for path, text in texts.items():
        (tmp_path / path.replace("/", "_")).write_text(text)
    monkeypatch.setattr(container, "_MARKS", (str(tmp_path),))
    monkeypatch.setattr(
        "builtins.open",
        lambda path, *rest, _open=open, **more: _open(
            tmp_path / path.replace("/", "_"), *rest, **more
        ),
    )

    found = container.describe_container({}, {})

    assert found == {"image": "quay.io/x:1", "id": container_id, "image_id": image_id}


def test_packages_of_this_system_are_listed_and_each_once() -> None:
    lines = system.list_packages(Clock(60))

    assert len(lines) == len(set(lines)) > 50
    assert {line.split("\t")[0] for line in lines} <= {"deb", "rpm"}
    assert {len(line.split("\t")) for line in lines} == {4}
    assert any(line.split("\t")[1] in ("libc6", "glibc") for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("words", [["run", "--", "true"], ["run", "--", "sleep", "1"]])
def test_packages_of_the_system_come_with_every_job_however_short(
    runner: Runner, words: list[str]
) -> None:
    runner(*words)

    record, blobs = only_entry(runner)
    lines = blobs[record["environment"]["system_packages_sha256"]].decode().splitlines()
    assert len(lines) > 50
    assert lines == sorted(lines)


@pytest.mark.slow
def test_packages_of_the_system_come_with_a_script_of_steps(runner: Runner) -> None:
    runner("start")
    runner("end")

    record, _ = only_entry(runner)
    assert record["environment"]["system_packages_sha256"]


def test_packages_are_read_from_the_database_of_rpm_without_asking_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    database = sqlite3.connect(tmp_path / "rpmdb.sqlite")
    database.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)")
    header = zlib.decompress(base64.b85decode(RPM_HEADER))
    database.execute("INSERT INTO Packages VALUES (1, ?)", [header])
    database.commit()
    database.close()
    monkeypatch.setattr(system, "_DPKG", "/nonexistent")
    monkeypatch.setattr(system, "_RPM", (str(tmp_path),))
    monkeypatch.setenv("PATH", "/nonexistent")

    assert system.list_packages(Clock(1)) == ["rpm\ttoy\t1.2-3.el9\tnoarch"]

    (tmp_path / "rpmdb.sqlite").write_bytes(b"damaged")
    with pytest.raises(FileNotFoundError):  # rpm itself is asked, and is not here
        system.list_packages(Clock(1))


def test_rpm_is_asked_and_stopped_when_the_command_ends(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rpm = tmp_path / "rpm"
    rpm.write_text(
        "#!/bin/sh\nprintf 'glibc\\t2.34-60.el9\\tx86_64\\n'\n[ -e slow ] && exec sleep 30\n"
        "exit 0\n"
    )
    rpm.chmod(0o755)
    monkeypatch.setattr(system, "_DPKG", "/nonexistent")
    monkeypatch.setattr(system, "_RPM", (str(tmp_path),))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    look = system.Look({}, threading.Event())

    look.run()

    assert look.packages == ["rpm\tglibc\t2.34-60.el9\tx86_64"]
    (tmp_path / "slow").touch()
    ended = threading.Event()
    threading.Timer(0.3, ended.set).start()
    look = system.Look({}, ended)
    look.run()
    assert look.packages == []
