"""What a folder of tables says of itself, in two small JSON documents.

`_jobprov.json` names every file with the stamp of the rows that it was made from. `_publishing.json`
is there only while an export gives its files their names: whoever finds it later can finish that.
Names that begin with an underscore are skipped by Spark, and no pattern of a table's files fits them.
"""

import msgspec

from jobprov.provenance.errors import BadInputError, ConflictError
from jobprov.provenance.services.analysis.schema import SCHEMA_VERSION

MANIFEST, PUBLICATION, LOCK, STAGING = "_jobprov.json", "_publishing.json", "_lock", "_staging"
FORMAT = "jobprov tables"


class FileState(msgspec.Struct, frozen=True):
    """A file of the folder."""

    rows: int
    size_bytes: int
    sha256: str


class PartState(msgspec.Struct, frozen=True):
    """The files of an experiment and month.

    Attributes:
        stamp: of the rows that they were made from.
        files: by name.
    """

    stamp: str
    files: dict[str, FileState]


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a folder holds.

    Attributes:
        archive: identity of the archive that the rows come from.
        parts: by folder, such as `experiment=nova/month=2026-01`; parameters are of
            `experiment=nova`.
        is_only_begun: whether the first export is under way, or was interrupted.
    """

    format: str
    schema_version: int
    archive: str
    parts: dict[str, PartState] = {}
    is_only_begun: bool = False

    def files(self) -> dict[str, FileState]:
        """Return every file by name."""
        found: dict[str, FileState] = {}
        for part in self.parts.values():
            found.update(part.files)
        return found


class Publication(msgspec.Struct, frozen=True):
    """Files that are about to get their names.

    Attributes:
        staged: names of the files that wait in the staging folder.
        removed: names of the files that go.
        manifest: what the folder says of itself then.
    """

    staged: list[str]
    removed: list[str]
    manifest: Manifest


class _Head(msgspec.Struct):
    format: str = ""
    schema_version: int = 0


class _LeftPublication(msgspec.Struct):
    manifest: msgspec.Raw


def read_manifest(data: bytes, where: str) -> Manifest:
    """Return the manifest of a folder.

    Raises:
        BadInputError: the document is something else.
        ConflictError: a later version of jobprov wrote it.
    """
    try:
        head = msgspec.json.decode(data, type=_Head)
        if head.format == FORMAT and head.schema_version > SCHEMA_VERSION:
            raise ConflictError(
                f"{where} has tables of schema version {head.schema_version}, and this jobprov "
                f"knows versions up to {SCHEMA_VERSION}. Nothing was changed: use the later "
                "jobprov, or another folder."
            )
        if head.format == FORMAT:
            return msgspec.json.decode(data, type=Manifest)
    except msgspec.DecodeError:
        pass
    raise BadInputError(
        f"{where} has a {MANIFEST} that `jobprov tables export` did not write; name another folder.",
        {"to": ["not a folder of tables"]},
    )


def read_publication(data: bytes, where: str) -> Publication:
    """Return what an interrupted export was about to do.

    Raises:
        ConflictError: it was an export of a later version of jobprov.
        BadInputError: the document is damaged.
    """
    try:
        left = msgspec.json.decode(data, type=_LeftPublication)
        read_manifest(left.manifest, where)
        return msgspec.json.decode(data, type=Publication)
    except msgspec.DecodeError as problem:
        raise BadInputError(
            f"{where}/{PUBLICATION} cannot be read ({problem}); remove this folder of tables and "
            "export again.",
            {"to": ["a damaged folder of tables"]},
        ) from None


def encode(document: Manifest | Publication) -> bytes:
    """Return a document as indented JSON; equal documents give equal bytes."""
    return msgspec.json.format(msgspec.json.encode(document, order="deterministic")) + b"\n"
