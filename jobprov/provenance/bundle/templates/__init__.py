"""The scripts of a bundle: a folder for each edition, with the files that differ from the last.

Edition 1 is of 0.1.0. Edition 2 names files that are gone, compares the software here with what the
job used, says what differs in an output, does without here-documents, which need a /tmp, and has
stand-ins for the clients by which a job's scripts reach a storage.

A folder is never edited once it is released. The newest verify.py is put together from the modules
of `comparison`. So before a new edition, the present text of verify.py must be saved as
`verify.py.txt` in the folder of the last one. A plan names its scripts by digest, and so keeps its
edition; a new plan takes the newest.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from jobprov.provenance.bundle.payload.payload import Payload

EDITION = 2
FOLDER = files(__name__)
_COMPARISON = (
    "root_masking",
    "root_content",
    "parameters",
    "root_tolerance",
    "root_statistics",
    "text_comparison",
    "differences",
    "verify",
)
_SCRIPTS = {"run.sh": 0o755, "verify.sh": 0o755, "lib.sh": 0o644, "own-root.sh": 0o644}
_NOT_IN_FIRST = {"storage.sh": 0o644, "mkdir.sh": 0o644, "clients.sh": 0o644}
_MARK = re.compile(r"@[A-Z]+@")
_CONTEXTS = ("ro-crate-1.1.jsonld", "workflow-run.jsonld")


def add_programs(payload: Payload) -> None:
    """Write the programs of a bundle, the record's schema and the JSON-LD contexts."""
    edition = payload.edition
    scripts = _SCRIPTS if edition == 1 else _SCRIPTS | _NOT_IN_FIRST
    for name, mode in scripts.items():
        payload.write_shared(name, template(edition, name), mode=mode)
    if payload.draft.find("data/env/os-packages.tsv"):
        name = "install-os-packages.sh"
        payload.write_shared(f"env/{name}", template(edition, name))
    payload.write_shared("verify.py", comparison_program(edition))
    for name in _CONTEXTS:
        payload.write_shared(f"context/{name}", template(edition, name))
    if payload.ingredients.schema:
        payload.write_shared("JOB.schema.json", payload.ingredients.schema)


def filled(readme: bytes, facts: Mapping[str, str]) -> bytes:
    """A README with each mark replaced by its value."""
    # In one pass: what looks like a mark in a value is none
    return _MARK.sub(lambda mark: facts[mark[0]], readme.decode()).encode("utf-8", "replace")


@cache
def template(edition: int, name: str) -> bytes:
    """The bytes of an edition's file, or of the newest earlier edition that has the file."""
    file = FOLDER / str(edition) / name
    if edition > 1 and not file.is_file():
        return template(edition - 1, name)
    return file.read_bytes()


@cache
def comparison_program(edition: int = EDITION) -> bytes:
    """The text of verify.py: the comparison and all modules that it imports, in one file."""
    if edition < EDITION:
        return template(edition, "verify.py.txt")
    lines = []
    for name in _COMPARISON:
        module = files("jobprov.provenance.bundle.comparison") / f"{name}.py"
        lines += _lines_without_our_imports(module.read_text(encoding="utf-8"))
    return "".join(line + "\n" for line in lines).encode()


def _lines_without_our_imports(source: str) -> list[str]:
    """Return the lines of a module, apart from its imports of other modules of this package."""
    lines = []
    in_import = False
    for line in source.splitlines():
        if line.startswith("from jobprov.provenance."):
            in_import = line.endswith("(")
        elif in_import:
            in_import = line != ")"
        else:
            lines.append(line)
    return lines
