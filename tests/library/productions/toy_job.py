"""A toy job with code, fcl, a script and an input, and a reader that is a dictionary."""

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from jobprov.provenance.bundle import tar
from jobprov.provenance.bundle.comparison.comparators import OutputRule
from jobprov.provenance.bundle.ingredients import Capsule, Ingredients, KnownFile, Resolution
from jobprov.provenance.bundle.plan import Plan, make_plan
from jobprov.provenance.software.object_form import object_id
from jobprov.provenance.software.packs.form import (
    entry_header,
    pack_header,
    sort_key,
    stored_zlib,
    with_trailer,
)

Run = Callable[..., subprocess.CompletedProcess[str]]
SourceFile = tuple[str, int, bytes]
"""(path in the repository, git mode, bytes); of a symbolic link (mode 120000) its target."""


class _File(NamedTuple):
    mode: int
    content: bytes


class _Object(NamedTuple):
    kind: str
    content: bytes


_SUBMODULE = 0o160000
PROGRAM = b"""#!/bin/sh
# join the configuration, the input and the arguments; read everything by the paths the job was given
set -e
table=$(cat "$TOY_TABLE")
found=
IFS=:
for folder in $FHICL_FILE_PATH; do
  [ -f "$folder/$1" ] && found=$folder/$1 && break
done
mkdir -p out
{ cat "$found"; echo "table: $table"; cat "$2"; shift 2; printf '<%s>\\n' "$@"; } > out/result.txt
echo "made out/result.txt"
"""
WORK = "/scratch/job 17"
CHECKOUT = "/cvmfs/toy.example.org/toy-code"
HOSTILE = "$(touch /tmp/pwned) `id` \"' ; rm -rf * \\ \n end"


class Blobs:
    """The Reader of the tests: bytes by digest in a dictionary."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}

    def write(self, data: bytes, sha256: str = "", /) -> str:
        sha256 = sha256 or hashlib.sha256(data).hexdigest()
        self.stored[sha256] = data
        return sha256

    def get(self, sha256: str) -> bytes:
        return self.stored[sha256]

    def open(self, sha256: str) -> BinaryIO:
        return io.BytesIO(self.stored[sha256])

    def size(self, sha256: str) -> int:
        return len(self.stored[sha256])

    def has(self, sha256: str) -> bool:
        return sha256 in self.stored


class _Objects:
    """Git objects of a commit that is made here, by id."""

    def __init__(self) -> None:
        self._contents: dict[str, _Object] = {}

    def add(self, kind: str, content: bytes) -> str:
        """Keep an object; return its id."""
        oid = object_id(kind, content)
        self._contents[oid] = _Object(kind, content)
        return oid

    def add_tree(self, files: dict[bytes, _File]) -> str:
        """Keep a tree of these files by path, with all that is below; return its id."""
        folders: dict[bytes, dict[bytes, _File]] = {}
        # Git sorts a folder as if its name ended with a slash
        lines: dict[bytes, bytes] = {}
        for path, file in files.items():
            name, _, rest = path.partition(b"/")
            if rest:
                folders.setdefault(name, {})[rest] = file
                continue
            if file.mode == _SUBMODULE:
                oid = file.content.decode()
            else:
                oid = self.add("blob", file.content)
            lines[name] = b"%o %s\0%s" % (file.mode, name, bytes.fromhex(oid))
        for name, files_below in folders.items():
            oid = self.add_tree(files_below)
            lines[name + b"/"] = b"40000 %s\0%s" % (name, bytes.fromhex(oid))
        return self.add("tree", b"".join(lines[name] for name in sorted(lines)))

    def pack(self) -> bytes:
        """Return the canonical pack of all objects."""
        parts = [pack_header(len(self._contents))]
        for oid in sorted(self._contents, key=self._sort_key):
            kind, content = self._contents[oid]
            parts += [entry_header(kind, len(content)), *stored_zlib([content], len(content))]
        return b"".join(with_trailer(parts))

    def _sort_key(self, oid: str) -> tuple[int, str]:
        return sort_key(self._contents[oid].kind, oid)


def packed(files: list[SourceFile]) -> tuple[str, bytes]:
    """The id of a commit of these files, and its canonical pack."""
    objects = _Objects()
    by_path = {}
    for path, mode, content in files:
        by_path[path.encode("utf-8", "surrogateescape")] = _File(mode, content)
    tree = objects.add_tree(by_path).encode()
    who = b"T <t@example.org> 1772323200 +0000"
    commit = objects.add("commit", b"tree %s\nauthor %s\ncommitter %s\n\ntoy\n" % (tree, who, who))
    return commit, objects.pack()


class Toy:
    """One recorded job that can be changed before it is bundled."""

    def __init__(self) -> None:
        self.blobs = Blobs()
        self.files: list[SourceFile] = [
            ("LICENSE", 0o100644, b"do as you like\n"),
            ("bin/join.sh", 0o100755, PROGRAM),
            ("data/a table.txt", 0o100644, b"forty-two"),
            ("data/link", 0o120000, b"a table.txt"),
        ]
        self.capsule: Capsule | None = None
        self.expected = (
            b"x: 1\ninclude: done\ntable: forty-two\n1 2 3\n<--name=%s>\n" % HOSTILE.encode()
        )
        self.record = self._record()
        self.rules: list[OutputRule] = []
        self.known_inputs: dict[int, KnownFile] = {}
        self.resolutions = [
            Resolution(
                index=0,
                name="toy-code",
                url="https://git.example.org/toy-code.git",
                requested_ref="v1",
                ref_kind="tag",
                commit="1" * 40,
                tree="2" * 40,
            )
        ]

    def _record(self) -> dict[str, Any]:
        write = self.blobs.write
        return {
            "schema_version": 1,
            "job_id": "0f8b6a4e-3c51-5a0e-9c3f-000000000017",
            "state": "succeeded",
            "experiment": "toy",
            "started_at": "2026-03-01T10:00:00Z",
            "ended_at": "2026-03-01T10:00:05.5Z",
            "task": {"stage": "join", "task_id": "toy-1"},
            "command": {
                "working_directory": WORK,
                "argv": ["./wrapper.sh"],
                "steps": [
                    {"name": "fetch", "role": "stage_in", "argv": ["false"], "exit_code": 0},
                    {
                        "name": "join",
                        "role": "payload",
                        "argv": [
                            f"{CHECKOUT}/bin/join.sh",
                            "top.fcl",
                            f"{WORK}/in/a.txt",
                            f"--name={HOSTILE}",
                        ],
                        "exit_code": 0,
                    },
                ],
            },
            "exit": {"code": 0},
            "configurations": [
                {
                    "step": "join",
                    "main": "top.fcl",
                    "search_path": ["job", "/opt/release/fcl"],
                    "files": [
                        {
                            "name": "top.fcl",
                            "path": "/opt/release/fcl/top.fcl",
                            "sha256": write(b"x: 1\ninclude: done\n"),
                            "found_in": 1,
                        }
                    ],
                }
            ],
            "scripts": [
                {
                    "name": "wrapper.sh",
                    "path": "wrapper.sh",
                    "sha256": write(b"#!/bin/sh\nexit 3\n"),
                    "mode": "0755",
                }
            ],
            "software": [
                {
                    "name": "toy-code",
                    "repository": "https://git.example.org/toy-code.git",
                    "checkout": CHECKOUT,
                }
            ],
            "environment": {
                "variables": {
                    "PATH": "/usr/bin:/bin",
                    "FHICL_FILE_PATH": f"{WORK}/job:/opt/release/fcl",
                    "TOY_TABLE": f"{CHECKOUT}/data/link",
                    "HOSTILE": HOSTILE,
                    "HOME": "/home/someone",
                    "BASH_FUNC_x%%": "() { :; }",
                },
                "withheld": ["BEARER_TOKEN"],
                "umask": "0022",
            },
            "inputs": [
                {
                    "name": "a.txt",
                    "path": "in/a.txt",
                    "sha256": write(b"1 2 3\n"),
                    "size_bytes": 6,
                    "role": "primary",
                },
            ],
            "outputs": [
                {
                    "name": "result.txt",
                    "path": "out/result.txt",
                    "status": "written",
                    "sha256": hashlib.sha256(self.expected).hexdigest(),
                    "size_bytes": len(self.expected),
                }
            ],
            "seeds": [{"step": "join", "module": "gen", "seed": 7, "source": "log"}],
        }

    def resolved(self) -> list[Resolution]:
        """The resolutions; those without a pack get one of the toy's files, if there are any."""
        if not self.files:
            return self.resolutions
        commit, pack = packed(self.files)
        sha256 = self.blobs.write(pack)
        return [
            found if found.pack_sha256 else replace(found, commit=commit, pack_sha256=sha256)
            for found in self.resolutions
        ]

    def ingredients(self) -> Ingredients:
        return Ingredients(
            record_bytes=json.dumps(self.record).encode(),
            record=self.record,
            received_at=datetime(2026, 3, 2, tzinfo=UTC),
            resolutions=self.resolved(),
            capsule=self.capsule,
            rules=self.rules,
            known_inputs=self.known_inputs,
        )

    def plan(self, level: str | None = None, *, is_holey: bool = False) -> Plan:
        return make_plan(
            self.ingredients(), self.blobs, self.blobs.write, level=level, is_holey=is_holey
        )

    def tar_bytes(self, plan: Plan | None = None) -> bytes:
        return b"".join(tar.stream(plan or self.plan(), self.blobs))

    def unpack(self, folder: Path, plan: Plan | None = None) -> Path:
        """The bag's folder, unpacked below `folder`."""
        plan = plan or self.plan()
        with tarfile.open(fileobj=io.BytesIO(self.tar_bytes(plan))) as archive:
            archive.extractall(folder, filter="tar")
        return folder / plan.top
