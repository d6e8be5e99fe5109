"""Blobs over HTTP: which are missing, send one, a part of it or many, read one.

Possession is an experiment's (storage.md). Parts: `Content-Range` says which bytes a body is.
Source: RFC 9110, 14.4; 308 with `Range` is what resumable uploads answer.
"""

import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import BinaryIO, NamedTuple

import msgspec
from flask import Response, request

from jobprov.app.api.recording.blob_batches import (
    BATCH_BYTES,
    CONTENT_TYPE,
    DIGEST,
    SentBlob,
    read_blobs,
)
from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.bodies import body_chunks, read_body, wrong_body
from jobprov.app.api.wire.documenting import Section
from jobprov.app.api.wire.guard import check_reading, recording_grant
from jobprov.app.api.wire.sending import send_blob
from jobprov.app.errors import SecretFoundError, problem_of
from jobprov.app.wiring import Stored, get_service
from jobprov.provenance.answers.recording import (
    BlobAnswer,
    BlobBatchAnswer,
    BlobResult,
    MissingAnswer,
    PartAnswer,
)
from jobprov.provenance.db.queries.holdings.possessions import holders_of
from jobprov.provenance.errors import BadInputError, ConflictError, LimitError, NotFoundError
from jobprov.provenance.services.intake.blobs import (
    Upload,
    has_digest,
    missing_of,
    nobodys_among,
    searched_chunks,
    settle_blob,
    settle_blobs,
    settle_unclaimed,
    unwanted_among,
    without_erased,
)
from jobprov.provenance.services.intake.excerpts import MOST_EXCERPTS
from jobprov.provenance.services.intake.packed_texts import SEARCHED_BYTES, Unpacking, is_packed
from jobprov.provenance.services.intake.partial_blobs import HalfSent
from jobprov.provenance.services.intake.secrets import find_secret

section = Section("blobs", "Bytes by digest.")

ASKED_AT_ONCE = 10_000
_LIST_BYTES = 1024 * 1024
_WHOLE_BYTES = 8 * 1024 * 1024
_CHUNK_BYTES = 1 << 16
_UNPACKED_OF_BATCH = 2 * SEARCHED_BYTES
_RANGE = re.compile(r"bytes (?:(\d{1,15})-(\d{1,15})|\*)/(\d{1,15})")


class ByteRange(NamedTuple):
    """Which bytes of a blob a body is.

    Attributes:
        start: the first; None where the body is empty and the question is how much is here.
        length: how many.
        total: how many the blob has.
    """

    start: int | None
    length: int
    total: int


class Digests(msgspec.Struct):
    """Digests to be asked about, 10,000 at most.

    Up to 16 excerpts of the record that comes next may be asked about too.
    """

    sha256: list[str]
    excerpts: list[str] | None = None


_digests = msgspec.json.Decoder(Digests)


@section.post("/blobs/missing", MissingAnswer, body=Digests)
def ask_missing() -> Response:
    """Return which of some blobs the experiment has not sent yet.

    It also names the excerpts that are stored: a record may refer to these instead of repeating
    them.
    """
    grant = recording_grant()
    question = _read_digests()
    service = get_service()
    excerpts = None
    if question.excerpts is not None:
        excerpts = service.excerpts.known(grant.experiment, question.excerpts)
    missing = _missing(grant.experiment, question.sha256)
    return json_answer(MissingAnswer(missing, excerpts, BATCH_BYTES if missing else None))


def _missing(experiment: str | None, digests: list[str]) -> list[str]:
    """Return those of the digests that are to be sent, each once."""
    if not digests:
        return []
    service = get_service()
    if experiment is not None:
        with service.reading() as connection:
            return missing_of(connection, experiment, digests, service.lost_blobs)
    # Without tokens a blob belongs to nobody until a record names it: the archive alone knows it
    absent = service.store.missing(digests)
    distinct = [sha256 for sha256 in dict.fromkeys(digests) if sha256 in absent]
    with service.reading() as connection:
        return without_erased(connection, distinct)


@section.put(
    "/blobs/<sha256>",
    {201: BlobAnswer, 200: BlobAnswer, 308: PartAnswer},
    body="application/octet-stream",
)
def put_blob(sha256: str) -> Response:
    """Store a blob under the digest of its uncompressed bytes.

    The answer is 201 where it was stored, 200 where it was here, 422 where the digest differs.

    A blob that the experiment's operators erased answers 200 with `change: erased` and is not
    stored. With `Content-Range: bytes 0-999/5000` the body is a part, kept also where it breaks
    off; 308 with `Range` says how much is here. `bytes */5000` and no body ask for it.
    `Jobprov-Package` names the package that the unchanged file belongs to. Such a file is not searched
    for secrets.
    """
    grant = recording_grant()
    _check_digest(sha256)
    service = get_service()
    part, experiment = _asked_part(service.settings.blob_limit_bytes), grant.experiment
    with service.reading() as connection:
        erased = unwanted_among(connection, experiment, [sha256])
    if erased:
        return _erased_answer(sha256, part)
    service.blob_quota.check(experiment)
    if part is None:
        stored = _store(sha256, service.settings.blob_limit_bytes)
    else:
        half = HalfSent(service.settings.data / "half-sent", experiment, sha256)
        received = half.received()
        if part.start is not None:
            received = half.take(part.start, body_chunks(part.length))
        if received < part.total or part.start is None:
            return _part_answer(sha256, min(received, part.total))
        stored = _finish(half, sha256, part.total)
    return _settled_answer(experiment, stored)


@section.post("/blobs/batch", BlobBatchAnswer, body=CONTENT_TYPE)
def post_blobs() -> Response:
    """Store up to 1000 small blobs, 8 MiB in all.

    The first line of the body is `[[sha256, length, package], …]`; after it come their bytes, one
    blob after the other. `package` is null, or says what `Jobprov-Package` says of a single blob.
    The results come in order, each with the status that the blob would have had alone, but for packed
    blobs that come after 16 MiB unpacked: these are to be sent alone. A body that is cut is refused
    as a whole, and nothing of it is stored.
    """
    grant = recording_grant()
    service = get_service()
    blobs = read_blobs(read_body(BATCH_BYTES))
    service.blob_quota.check(grant.experiment)
    return json_answer(BlobBatchAnswer(_store_together(grant.experiment, blobs)))


@section.get("/blobs/<sha256>", ("application/octet-stream", "The bytes."), errors=(404, 416))
def get_blob(sha256: str) -> Response:
    """Return the bytes of a blob that an experiment sent; the token's, where reading needs one.

    `Range` is honoured.
    """
    grant = check_reading()
    _check_digest(sha256)
    with get_service().reading() as connection:
        holders = holders_of(connection, sha256)
    if not any(grant is None or grant.allows(experiment) for experiment in holders):
        raise NotFoundError(f"No experiment that you may read has sent a blob {sha256}.")
    return send_blob(sha256)


def _settled_answer(experiment: str | None, stored: Stored) -> Response:
    """Note who sent a stored blob, and answer whether it is new to them."""
    service = get_service()
    sha256, size_bytes = stored.sha256, stored.size_bytes
    if experiment is None:
        is_new = stored.is_new
        service.write(lambda writing: settle_unclaimed(writing, service.unclaimed, [sha256]))
    else:
        is_new = service.write(lambda writing: settle_blob(writing, experiment, sha256))
    if is_new:
        service.blob_quota.add(experiment, size_bytes)
        return json_answer(BlobAnswer(sha256, size_bytes, is_new=True), 201)
    change = "erased" if _erase_again(experiment, [sha256]) else None
    return json_answer(BlobAnswer(sha256, size_bytes, is_new=False, change=change))


def _store_together(experiment: str | None, blobs: list[SentBlob]) -> list[BlobResult]:
    """Store those blobs of a batch that may be stored; return what became of each, in order."""
    service = get_service()
    with service.reading() as connection:
        erased = unwanted_among(connection, experiment, [blob.sha256 for blob in blobs])
    unpacking = Unpacking(_UNPACKED_OF_BATCH)
    refusals: list[BlobResult | None] = []
    taken: dict[str, bytes] = {}
    for blob in blobs:
        if blob.sha256 in erased:
            refusal: BlobResult | None = BlobResult(blob.sha256, HTTPStatus.OK, change="erased")
        else:
            refusal = _refusal(blob, unpacking)
        if refusal is None:
            taken[blob.sha256] = blob.content
        refusals.append(refusal)
    new = _keep_together(experiment, taken)
    results: list[BlobResult] = []
    for blob, refusal in zip(blobs, refusals, strict=True):
        if refusal is not None:
            results.append(refusal)
        elif blob.sha256 in new:
            new.remove(blob.sha256)  # the same again in this batch is not new
            results.append(BlobResult(blob.sha256, HTTPStatus.CREATED))
        else:
            results.append(BlobResult(blob.sha256, HTTPStatus.OK))
    return results


def _refusal(blob: SentBlob, unpacking: Unpacking) -> BlobResult | None:
    """Return why a blob of a batch is not stored; None where it may be.

    All blobs of a batch share what may be unpacked for it.
    """
    sha256 = blob.sha256
    limit_bytes = get_service().settings.blob_limit_bytes
    too_large = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    unprocessable = HTTPStatus.UNPROCESSABLE_ENTITY
    if len(blob.content) > limit_bytes:
        detail = f"The blob is longer than {limit_bytes} bytes, which is the limit."
        return BlobResult(sha256, too_large, detail=detail, errors={"sha256": ["limit"]})
    if not has_digest(blob.content, sha256):
        detail = "The bytes have another SHA-256; send the blob again."
        errors = {"sha256": ["digest-mismatch"]}
        return BlobResult(sha256, unprocessable, detail=detail, errors=errors)
    if blob.is_packaged:
        return None
    rules = find_secret(blob.content, unpacking)
    if rules:
        problem = _secret_found(rules)
        return BlobResult(sha256, unprocessable, detail=str(problem), errors=problem.fields)
    if unpacking.is_exhausted and is_packed(blob.content):
        detail = "The packed blobs of this batch are too long when unpacked; send this one alone."
        return BlobResult(sha256, too_large, detail=detail, errors={"sha256": ["limit"]})
    return None


def _keep_together(experiment: str | None, taken: dict[str, bytes]) -> set[str]:
    """Store blobs, and note who sent them; return the digests of the new ones."""
    service = get_service()
    if not taken:
        return set()
    digests = sorted(taken)
    absent = service.store.missing(digests)
    service.store.put_many([taken[sha256] for sha256 in digests])
    if experiment is None:
        service.write(lambda writing: settle_unclaimed(writing, service.unclaimed, digests))
        new = absent
    else:
        uploads = [Upload(experiment, sha256) for sha256 in digests]
        are_new = service.write(lambda writing: settle_blobs(writing, uploads))
        new = set()
        for sha256, is_new in zip(digests, are_new, strict=True):
            if is_new:
                new.add(sha256)
    service.blob_quota.add(experiment, sum(len(taken[sha256]) for sha256 in new))
    _erase_again(experiment, sorted(set(digests) - new))
    return new


def _erased_answer(sha256: str, part: ByteRange | None) -> Response:
    """Read what was sent, and answer that it is not wanted."""
    limit_bytes = get_service().settings.blob_limit_bytes
    chunks = body_chunks(limit_bytes) if part is None else body_chunks(part.length)
    size_bytes = sum(map(len, chunks))
    return json_answer(BlobAnswer(sha256, size_bytes, is_new=False, change="erased"))


def _erase_again(experiment: str | None, digests: Sequence[str]) -> set[str]:
    """Remove blobs that were erased during their upload; return their digests."""
    service = get_service()
    # an experiment that the sender may not see may have sent them as well
    with service.reading_everything() as connection:
        erased = unwanted_among(connection, experiment, digests)
        free = nobodys_among(connection, sorted(erased))
    if free:
        service.store.erase(free)
    return erased


def _part_answer(sha256: str, received: int) -> Response:
    answer = json_answer(PartAnswer(sha256, received), 308)
    if received:
        answer.headers["Range"] = f"bytes=0-{received - 1}"
    return answer


def _finish(half: HalfSent, sha256: str, total: int) -> Stored:
    """Store a blob whose bytes are all here.

    What is refused is forgotten, so that it can be sent from the start.
    """
    try:
        with half.open() as stream:
            if total <= _WHOLE_BYTES:
                stored = _store_whole(sha256, stream.read(total + 1))
            else:
                chunks = _searched(_chunks_of(stream))
                stored = get_service().store.put_stream(chunks, expected=sha256, limit_bytes=total)
    except FileNotFoundError:
        raise ConflictError(
            "Another one finished this blob at the same moment; ask which are missing."
        ) from None
    except Exception as problem:
        if problem_of(problem).status < HTTPStatus.INTERNAL_SERVER_ERROR:
            half.drop()
        raise
    half.drop()
    return stored


def _chunks_of(stream: BinaryIO) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK_BYTES):
        yield chunk


def _store(sha256: str, limit_bytes: int) -> Stored:
    """Store the body; small ones are searched for secrets first."""
    if (request.content_length or limit_bytes) > _WHOLE_BYTES:
        chunks = _searched(body_chunks(limit_bytes))
        return get_service().store.put_stream(chunks, expected=sha256, limit_bytes=limit_bytes)
    return _store_whole(sha256, read_body(limit_bytes))


def _is_packaged() -> bool:
    """Return whether a package brought it: that is public, and the digest was compared with its."""
    return "Jobprov-Package" in request.headers


def _searched(chunks: Iterator[bytes]) -> Iterator[bytes]:
    return chunks if _is_packaged() else searched_chunks(chunks, _secret_found)


def _secret_found(rules: list[str]) -> SecretFoundError:
    return SecretFoundError(
        f"The blob holds what looks like a secret (rule {', '.join(rules)}) and was not "
        "stored; send it redacted.",
        {"sha256": [f"secret-found: {', '.join(rules)}"]},
    )


def _store_whole(sha256: str, data: bytes) -> Stored:
    rules = [] if _is_packaged() else find_secret(data)
    if rules:
        raise _secret_found(rules)
    return get_service().store.put(data, expected=sha256)


def _read_digests() -> Digests:
    try:
        question = _digests.decode(read_body(_LIST_BYTES))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        raise wrong_body(problem, Digests) from None
    count = len(question.sha256)
    if count > ASKED_AT_ONCE:
        raise LimitError(
            f"{count} digests are asked about; {ASKED_AT_ONCE} is the limit.", ASKED_AT_ONCE
        )
    if len(question.excerpts or ()) > MOST_EXCERPTS:
        raise LimitError(f"A record has {MOST_EXCERPTS} excerpts at most.", MOST_EXCERPTS)
    for place, sha256 in enumerate(question.sha256):
        if not DIGEST.fullmatch(sha256):
            raise BadInputError(
                "A digest is 64 lower-case hex digits.",
                {f"sha256[{place}]": ["not a SHA-256 in lower-case hex"]},
            )
    return question


def _check_digest(sha256: str) -> None:
    if not DIGEST.fullmatch(sha256):
        raise BadInputError(
            "A blob is named by its SHA-256, 64 lower-case hex digits.",
            {"sha256": ["not a SHA-256"]},
        )


def _asked_part(limit_bytes: int) -> ByteRange | None:
    """Return which part of a blob comes; None where it comes whole.

    Raises:
        BadInputError: the header says nothing that can be, or the body is packed.
        LimitError: the blob is longer than the limit.
    """
    text = request.headers.get("Content-Range")
    if text is None:
        return None
    if request.headers.get("Content-Encoding", "identity").lower() not in ("identity", ""):
        raise BadInputError(
            "A part of a blob is sent unpacked.", {"Content-Encoding": ["none with Content-Range"]}
        )
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        raise _bad_range(text)
    total = int(match[3])
    if total > limit_bytes:
        raise LimitError(
            f"The blob is longer than {limit_bytes} bytes, which is the limit of this call.",
            limit_bytes,
        )
    if match[1] is None:
        return ByteRange(None, 0, total)
    start, end = int(match[1]), int(match[2])
    if not start <= end < total:
        raise _bad_range(text)
    return ByteRange(start, end - start + 1, total)


def _bad_range(text: str) -> BadInputError:
    return BadInputError(
        f"Content-Range {text[:100]!r} names no part of a blob.",
        {"Content-Range": ["bytes FIRST-LAST/TOTAL, or */TOTAL"]},
    )
