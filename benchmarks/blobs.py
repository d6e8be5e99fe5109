"""`python -m benchmarks.blobs`: how fast, and in how much memory, an archive handles blobs.

It takes, packs, checks and gives them. It needs no database. The archive is that of `--url`, which
must be empty: a folder, or a prefix of an S3 bucket (keys and address as `jobprov` takes them).
Noise is made by SHAKE-256 of a counter, so that runs repeat.
"""

import argparse
import hashlib
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from jobprov.archive.opening import open_store
from jobprov.archive.store import Store

SMALL_BYTES = 1500
READ_ONE_BY_ONE = 500
_MIB = 1 << 20
_LINE = b"Begin processing the %dth record. run: 1000 subRun: 1 event: %d at 24-Nov-2026\n"

_T = TypeVar("_T")


def main() -> None:
    """Measure the archive that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.blobs", description=__doc__)
    parser.add_argument(
        "--url", required=True, help="an empty archive, file:/folder or s3://bucket/prefix"
    )
    parser.add_argument("--blobs", type=int, default=5000, help=f"blobs of {SMALL_BYTES} bytes")
    parser.add_argument(
        "--mib", type=int, default=2048, help="size of the large blob in MiB; 0 leaves it out"
    )
    chosen = parser.parse_args()
    store = open_store(chosen.url)
    if next(store.digests(), None) is not None:
        sys.exit(f"{chosen.url} is not empty; name another folder or prefix.")
    measure_small(store, chosen.blobs)
    if chosen.mib:
        measure_large(store, chosen.mib)
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs")


def measure_small(store: Store, count: int) -> None:
    """Put, look for, pack, get and check many small blobs."""
    items = [_noise(number, SMALL_BYTES) for number in range(count)]
    digests = timed("put, many at once", lambda: store.put_many(items), count)
    timed("missing, loose", lambda: store.missing(digests), count)
    timed("seal", store.seal, count)
    timed("missing, packed", lambda: store.missing(digests), count)
    one_by_one = digests[:READ_ONE_BY_ONE]
    timed("get, one by one", lambda: [store.get(sha256) for sha256 in one_by_one], len(one_by_one))
    timed("check", lambda: list(store.inspect()), count)


def measure_large(store: Store, mib: int) -> None:
    """Put one large blob, half of it noise, and read its beginning, its end and all of it."""
    sha256 = hashlib.sha256()
    for chunk in _large(mib):
        sha256.update(chunk)
    digest = sha256.hexdigest()
    timed(f"put {mib} MiB", lambda: store.put_stream(_large(mib), expected=digest))
    timed("first 64 kiB", lambda: _read(store, digest, 0, 1 << 16))
    timed("last 64 kiB", lambda: _read(store, digest, mib * _MIB - (1 << 16), 1 << 16))
    timed("all of it", lambda: _read(store, digest, 0, mib * _MIB))


def timed(what: str, action: Callable[[], _T], count: int = 1) -> _T:
    """Return what an action gives, and print its time and its CPU.

    It also prints how far memory has grown since the start.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    found = action()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    each = f"{count / wall:9,.0f}/s" if count > 1 else " " * 11
    print(f"{what:20} {wall:8.2f} s {each} {cpu:7.2f} s CPU, at most {memory:.0f} MB so far")
    return found


def _read(store: Store, sha256: str, offset: int, length: int) -> None:
    with store.open(sha256) as blob:
        blob.seek(offset)
        while length and (data := blob.read(min(length, _MIB))):
            length -= len(data)
    if length:
        sys.exit(f"{length} bytes of {sha256} did not come.")


def _large(mib: int) -> Iterator[bytes]:
    half = _MIB // 2
    for number in range(mib):
        lines = b"".join(
            _LINE % (event, event * 7) for event in range(number * 10, number * 10 + 10)
        )
        yield _noise(number, half) + (lines * (half // len(lines) + 1))[:half]


def _noise(number: int, length: int) -> bytes:
    return hashlib.shake_256(b"%d" % number).digest(length)


if __name__ == "__main__":
    main()
