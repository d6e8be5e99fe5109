"""What is seen while a command runs, and what looking costs.

That is the memory of the tree together, and libraries.
"""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from jobprov.provenance.capture.command import arguments
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.running import watching
from jobprov.provenance.capture.running.children import Children
from jobprov.provenance.capture.surroundings import container, products
from tests.library.hook import Runner, only_entry

MEGABYTE = 1_000_000


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_FIRST_SECONDS", 0.01)
    monkeypatch.setattr(watching, "_SHORTEST_SECONDS", 0.02)
    monkeypatch.setattr(watching, "_MAPS_SECONDS", (0.0, 0.3))


@pytest.mark.usefixtures("fast")
def test_memory_of_all_processes_counts_together() -> None:
    """Three processes of 40 MB each, the third a grandchild: no single one reaches 100 MB."""
    hold = "import time; held = bytearray(40_000_000); time.sleep(90)"
    program = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {hold!r}]); {hold}"
    top = (
        f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {program!r}]); {hold}"
    )
    process = subprocess.Popen([sys.executable, "-c", top])
    watch = watching.Watch(process.pid)
    thread = threading.Thread(target=watch.run)
    thread.start()

    end = time.monotonic() + 60
    while (watch.peak_rss_bytes or 0) < 120 * MEGABYTE and time.monotonic() < end:
        time.sleep(0.05)
    watch.stop()
    thread.join()
    for member in watching.list_tree(process.pid):
        os.kill(member, 9)
    process.wait()

    assert watch.peak_rss_bytes is not None
    assert 120 * MEGABYTE <= watch.peak_rss_bytes < 300 * MEGABYTE
    assert any("/libc" in path for path in watch.libraries)


@pytest.mark.usefixtures("fast")
def test_watch_ends_with_the_process() -> None:
    process = subprocess.Popen(["sleep", "0.1"])
    watch = watching.Watch(process.pid)
    process.wait()

    watch.run()


def test_system_is_not_blamed_for_a_command_that_ended_before_the_first_look() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()

    children = Children(ended.pid)

    assert children.was_late
    assert children.why_incomplete is None
    assert not Children(os.getpid()).was_late


def test_a_look_costs_little() -> None:
    watch = watching.Watch(os.getpid())
    watch._look()
    begun = time.thread_time()
    for _ in range(20):
        watch._look()
    cost = (time.thread_time() - begun) / 20

    print(f"\na look costs {cost * 1e6:.0f} us of CPU")
    assert max(watching._SHORTEST_SECONDS, cost / watching._SHARE) * 0.005 > cost


def test_listing_has_sizes_and_all_digests_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "lib x.so"
    library.write_bytes(b"abc")
    watch = watching.Watch(os.getpid())
    watch.libraries = {str(library), str(tmp_path / "gone.so")}

    monkeypatch.setattr(watching, "_HASH_SHARE", 1e9)
    with_digest = watch.list_libraries()
    monkeypatch.setattr(watching, "_HASH_SECONDS", 0)
    without = watch.list_libraries()

    assert with_digest == [
        f"{library}\t3\tba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    ]
    assert without == [f"{library}\t3\t-"]


@pytest.mark.slow
def test_record_has_the_libraries_and_the_peak(runner: Runner) -> None:
    hold = "import time; held = bytearray(60_000_000); time.sleep(0.8)"

    runner("run", "--", sys.executable, "-c", hold)

    record, blobs = only_entry(runner)
    lines = blobs[record["environment"]["libraries_sha256"]].decode().splitlines()
    assert any("/libc" in line for line in lines)
    assert all(len(line.split("\t")) == 3 for line in lines)
    assert record["resources"]["max_rss_bytes"] > 60 * MEGABYTE


@pytest.mark.parametrize(
    "place",
    [
        "/cvmfs/singularity.opensciencegrid.org/.images/6f/" + "ab" * 31,
        "/cvmfs/unpacked.cern.ch/.flat/6f/6f" + "ab" * 31,
    ],
)
def test_digest_of_an_unpacked_image_is_read_from_its_place(
    monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    image = "/cvmfs/singularity.opensciencegrid.org/fermilab/fnal-wn-el9:latest"
    monkeypatch.setattr(os.path, "realpath", lambda _path: place)
    monkeypatch.setattr(
        os, "getxattr", lambda _path, name: f"value of {name}".encode(), raising=False
    )

    found = container.describe_container({"APPTAINER_CONTAINER": image}, {})

    assert found == {
        "image": image,
        "resolved_path": place,
        "digest": "sha256:6f" + "ab" * 31,
        "root_hash": "value of user.root_hash",
    }


def test_revision_of_cvmfs_repositories_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"user.revision": b"31415", "user.root_hash": b"abc"}
    monkeypatch.setattr(os, "getxattr", lambda _path, name: known[name], raising=False)

    found = products.list_products(Draft(), {"PATH": "/cvmfs/nova.opensciencegrid.org/bin:/bin"})

    product = {
        "manager": "cvmfs",
        "prefix": "/cvmfs/nova.opensciencegrid.org",
        "version": "31415",
        "root_hash": "abc",
    }
    assert found == [
        {"name": "nova.opensciencegrid.org", "evidence": "observed", "product": product}
    ]


@pytest.mark.parametrize("program", ["art", "lar", "mu2e", "nova"])
def test_sam_process_of_an_art_program_is_read(program: str) -> None:
    line = arguments.CommandLine(
        [program, "-c", "a.fcl", "--sam-process-id=991", "-s", "x.root", "-o", "y.root"]
    )

    assert (line.is_art, line.sam_process_id, line.sources, line.outputs) == (
        True,
        "991",
        ["x.root"],
        ["y.root"],
    )
