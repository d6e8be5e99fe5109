"""Attestations: an operator's signature that a bundle is what was recorded.

They are files of their own beside the tar, since keys rotate and bundles do not change. Signed is
the in-toto Statement of the bundle (prov/statement.json: the outputs, and what they were made
from), with the bundle's own tar added as a subject. The envelope is DSSE, the key is Ed25519.

Source: in-toto Statement v1, SLSA provenance v1, DSSE 1.0; securesystemslib writes and reads the
envelope.
"""

import hashlib
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jobprov.provenance.errors import BadInputError, BundleError, NotFoundError

PAYLOAD_TYPE = "application/vnd.in-toto+json"
SUFFIX = ".dsse.json"
_STATEMENT = "data/prov/statement.json"
_MOST_BYTES = 64 * 1024 * 1024
_EXTRA = "Signatures need the package securesystemslib: install jobprov with its extra `sign`."


class Attestation(NamedTuple):
    """A valid signature.

    Attributes:
        keyid: of the key, as securesystemslib computes it.
        statement: what was signed.
    """

    keyid: str
    statement: Mapping[str, object]


def make_key(file: Path) -> str:
    """Make a key pair and return its id.

    The private key goes to a new file that only its owner reads (PEM), the public one beside it
    (`.pub`).

    Raises:
        BadInputError: the file exists already, or signing is not installed.
    """
    signer = _signing().CryptoSigner.generate_ed25519()
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - comes with it

    private = serialization.load_pem_private_key(signer.private_bytes, password=None)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = private.public_key().public_bytes(serialization.Encoding.PEM, form)
    try:
        # With these permissions from the first moment on, and never over an existing key
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(signer.private_bytes)
        Path(f"{file}.pub").write_bytes(public)
    except FileExistsError:
        raise BadInputError(
            f"{file} is there already; a key is never overwritten.", {"new-key": ["exists"]}
        ) from None
    return str(signer.public_key.keyid)


def attest(tar: Path, key: Path) -> bytes:
    """Return the envelope that attests a bundle, signed with a private key (PEM).

    Raises:
        BundleError: this is no bundle.
        BadInputError: the key cannot be read.
    """
    signer = _load_signer(key)
    # An optional package; _load_signer has raised where it is not installed
    from securesystemslib.dsse import Envelope  # noqa: PLC0415

    envelope = Envelope(_canonical(_statement_of(tar)), PAYLOAD_TYPE, {})
    envelope.sign(signer)
    return json.dumps(envelope.to_dict(), sort_keys=True, indent=1).encode() + b"\n"


def check_attestation(tar: Path, envelope: Path, public_key: Path) -> Attestation:
    """Return the attestation of a bundle, signed with this key and for exactly these bytes.

    Raises:
        NotFoundError: there is no envelope.
        BadInputError: envelope or key cannot be read.
        BundleError: it was signed with another key, or for other bytes.
    """
    key = _load_public_key(public_key)
    from securesystemslib.dsse import Envelope  # noqa: PLC0415 - as above
    from securesystemslib.exceptions import VerificationError  # noqa: PLC0415

    if not envelope.is_file():
        raise NotFoundError(
            f"There is no attestation {envelope}; `jobprov attest {tar} --key FILE` makes one."
        )
    try:
        read = Envelope.from_dict(json.loads(envelope.read_bytes()[:_MOST_BYTES]))
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise BadInputError(
            f"{envelope} is not a DSSE envelope: {problem}.", {"envelope": [str(problem)]}
        ) from None
    try:
        read.verify([key], 1)
    except VerificationError as problem:
        raise BundleError(f"{envelope} is not signed with {public_key}: {problem}.") from None
    if read.payload_type != PAYLOAD_TYPE or read.payload != _canonical(_statement_of(tar)):
        raise BundleError(
            f"{envelope} attests another bundle than {tar}, or {tar} was changed since."
        )
    return Attestation(str(key.keyid), json.loads(read.payload))


def _canonical(statement: Mapping[str, object]) -> bytes:
    return json.dumps(statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _statement_of(tar: Path) -> dict[str, object]:
    """Return the statement in a bundle, with the tar as its first subject.

    Raises:
        BundleError: there is none in it.
    """
    try:
        with tar.open("rb") as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
            top, statement = _read_statement(archive)
    except FileNotFoundError:
        raise NotFoundError(
            f"There is no bundle {tar}; build one: jobprov bundle JOB -o {tar.name}."
        ) from None
    except (tarfile.TarError, EOFError, OSError, ValueError, RecursionError) as problem:
        raise BundleError(f"{tar} is not a bundle: {problem}.") from None
    if not isinstance(statement, dict) or not isinstance(statement.get("subject"), list):
        raise BundleError(f"{tar} holds no statement (prov/statement.json): it is not a bundle.")
    with tar.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    subject = {"name": f"{top}.tar", "digest": {"sha256": sha256}}
    return {**statement, "subject": [subject, *statement["subject"]]}


def _read_statement(archive: tarfile.TarFile) -> tuple[str, Any]:
    """Return the folder that a bundle unpacks into, and its statement as JSON; None if it has none.

    All members are read: a damaged tar shows only where it is cut off.
    """
    top, statement = "", None
    for member in archive:
        top = member.name.partition("/")[0]
        if member.name == f"{top}/{_STATEMENT}" and member.size <= _MOST_BYTES:
            extracted = archive.extractfile(member)
            if extracted is not None:
                statement = json.load(extracted)
    return top, statement


def _signing() -> Any:
    try:
        from securesystemslib import signer  # noqa: PLC0415 - an extra
    except ImportError:
        raise BadInputError(_EXTRA, {"sign": ["not installed"]}) from None
    return signer


def _load_signer(file: Path) -> Any:
    signing = _signing()
    # securesystemslib brings cryptography along
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        key = load_pem_private_key(file.read_bytes(), password=None)
    except OSError as problem:
        raise BadInputError.of_file(file, problem) from None
    except (ValueError, TypeError) as problem:
        raise BadInputError(
            f"{file} is not a private key (PEM, without a password): {problem}.",
            {"key": [str(problem)]},
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadInputError(
            f"{file} holds a key of another kind than Ed25519.", {"key": ["not Ed25519"]}
        )
    return signing.CryptoSigner(key, signing.SSlibKey.from_crypto(key.public_key()))


def _load_public_key(file: Path) -> Any:
    signing = _signing()
    # securesystemslib brings cryptography along
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    try:
        return signing.SSlibKey.from_crypto(load_pem_public_key(file.read_bytes()))
    except OSError as problem:
        raise BadInputError.of_file(file, problem) from None
    except (ValueError, TypeError) as problem:
        raise BadInputError(
            f"{file} is not a public key (PEM): {problem}.", {"public-key": [str(problem)]}
        ) from None
