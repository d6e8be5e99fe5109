"""From the exact bytes of a record to a `JobRecord`, or to errors that name the field.

The common record takes the fast way: one typed decode by msgspec. Whatever that refuses (a number
past 64 bits, a leap second) and what it would round (nanoseconds) takes the slow way, which repairs
what the contract says may be repaired (a `:60` second, nanoseconds, a number out of range) and
names what it may not.
"""

import re
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

from jobprov.provenance.errors import RecordError
from jobprov.provenance.records.job_record import FclConfiguration, JobRecord, JsonObject, Software
from jobprov.provenance.records.reading.checks import (
    check_record,
    configuration_problems,
    numbers_fit,
)
from jobprov.provenance.records.reading.references import referenced_blobs, references_in
from jobprov.provenance.records.reading.repairing import (
    SCHEMA_VERSION,
    is_later,
    parse_object,
    read_typed,
)
from jobprov.provenance.records.reading.sharing import Part, SharedParts
from jobprov.provenance.records.reading.slow_numbers import refuse_slow_numbers

LIMIT_BYTES = 8 * 1024 * 1024
# Of a time: in numbers Python writes as many digits
_NANOSECONDS = re.compile(rb":\d\d(?<=\d:\d\d)\.\d{7}")


class DecodedRecord:
    """A record in its three forms.

    Attributes:
        body: the exact bytes, as they are kept.
        record: the typed reading of version 1; None where the record is of a later version, to be
            kept unread.
        references: digests of the blobs that it refers to.
        repairs: field paths whose value could not be kept in its typed form, for the gap
            `value-out-of-range`.
        pieces: the same bytes apart: what is this record's own, then the parts that others have in
            the same bytes.
    """

    __slots__ = ("_raw", "body", "pieces", "record", "references", "repairs")

    def __init__(
        self,
        body: bytes,
        record: JobRecord | None,
        references: AbstractSet[str],
        repairs: tuple[str, ...] = (),
        *,
        raw: JsonObject | None = None,
        pieces: tuple[bytes, ...] | None = None,
    ) -> None:
        self.body = body
        self.pieces = pieces or (body,)
        self.record = record
        self.references = references
        self.repairs = repairs
        self._raw = raw

    @property
    def raw(self) -> JsonObject:
        """The same as plain JSON values, unknown fields included; read when first asked for."""
        if self._raw is None:
            self._raw = msgspec.json.decode(self.body)
        return self._raw

    @property
    def job_id(self) -> str:
        """The job that it describes."""
        return self.record.job_id if self.record is not None else str(self.raw["job_id"])

    @property
    def experiment(self) -> str:
        """Which experiment the job belongs to."""
        return self.record.experiment if self.record is not None else str(self.raw["experiment"])

    @property
    def witness(self) -> str:
        """Who saw the job; the wrapper if the record names nobody."""
        witness = self.raw.get("witness") if self.record is None else self.record.witness
        return str(witness or "wrapper")

    @property
    def task_id(self) -> str | None:
        """The task that it names, None where it names none."""
        if self.record is not None:
            return self.record.task.task_id if self.record.task is not None else None
        task = self.raw.get("task")
        task_id = task.get("task_id") if isinstance(task, dict) else None
        return task_id if isinstance(task_id, str) else None

    @property
    def state(self) -> Any:
        """How the job was seen."""
        return self.record.state if self.record is not None else self.raw.get("state")


def decode_record(body: bytes) -> DecodedRecord:
    """Return the decoded record.

    Raises:
        RecordError: not JSON, a wrong type, a name that is refused; `fields` says where. Nothing of
            it may be stored.
    """
    if len(body) > LIMIT_BYTES:
        raise RecordError(
            f"The record has {len(body)} bytes; a record may have {LIMIT_BYTES}. "
            "Send logs and tables as blobs.",
            {"": [f"longer than {LIMIT_BYTES} bytes"]},
        )
    refuse_slow_numbers(body, "The record")
    common = _decode_common(body)
    if common is not None:
        return common
    raw = parse_object(body, "The record")
    if is_later(raw):
        return DecodedRecord(body, None, referenced_blobs(raw), raw=raw)
    record, repairs = read_typed(raw)
    return DecodedRecord(body, check_record(record), referenced_blobs(raw), repairs, raw=raw)


class _Outline(JobRecord, kw_only=True):
    """A record without the parts that many records share: these are read apart."""

    configurations: Any = None
    software: Any = None


class _SharedBytes(msgspec.Struct):
    """Where those parts lie in a record's bytes."""

    configurations: msgspec.Raw = msgspec.Raw()
    software: msgspec.Raw = msgspec.Raw()


_whole = msgspec.json.Decoder(JobRecord)
_outline = msgspec.json.Decoder(_Outline)
_shared_bytes = msgspec.json.Decoder(_SharedBytes)


def _decode_common(body: bytes) -> DecodedRecord | None:
    """Return a record in which nothing has to be repaired or refused; None for any other.

    This takes a fifth of the careful way's time. What many records share is read once, and replaced
    by a `0` before the rest is read.
    """
    # An escape by number could hide a quote, a NUL or a surrogate
    if (b"\\" in body and b"\\u" in body) or _NANOSECONDS.search(body):
        return None
    try:
        shared, rest = _take_shared(body)
        raw = msgspec.json.decode(rest)
        decoder = _outline if shared else _whole
        record: JobRecord = decoder.decode(rest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if record.schema_version > SCHEMA_VERSION:
        return None
    if not _is_unique(raw, rest) or not numbers_fit(record):
        return None
    references = references_in(rest, raw)
    pieces = [rest]
    for name, part in shared.items():
        setattr(record, name, part.value)
        references |= part.references
        pieces.append(part.body)
    record.__class__ = JobRecord  # laid out alike: a copy would cost as much as reading it did
    return DecodedRecord(body, check_record(record), references, pieces=tuple(pieces))


def _take_shared(body: bytes) -> tuple[dict[str, Part[Any]], bytes]:
    """Return the shared parts by field, and the bytes with a `0` in their places.

    Nothing if the place of one of them is not certain.
    """
    places = _shared_bytes.decode(body)
    shared: dict[str, Part[Any]] = {}
    rest = body
    for name, memory in _MEMORIES.items():
        content = bytes(getattr(places, name))
        if not content or content in _NOTHING:
            continue
        head = content[:_HEAD_BYTES]  # a long text is searched for more slowly
        if rest.count(head) != 1:
            return {}, body
        part = memory.get(content)
        if part is None:
            return {}, body
        start = rest.index(head)
        end = start + len(content)
        rest = rest[:start] + b"0" + rest[end:]
        shared[name] = part
    return shared, rest


def _is_unique(raw: Any, body: bytes) -> bool:
    """Return whether no key stands twice in one object.

    A key that does would be lost when the values are written again, and two quotes with it. The
    number of other quotes stays the same.
    """
    return msgspec.json.encode(raw).count(b'"') == body.count(b'"')


def _reader(kind: Any, check: Callable[[Any], bool]) -> Callable[[bytes], Part[Any] | None]:
    """Return the reader of a shared part of that type.

    The reader returns None for a part that has to be read with its record.
    """
    decoder = msgspec.json.Decoder(kind)

    def read(body: bytes) -> Part[Any] | None:
        try:
            raw, value = msgspec.json.decode(body), decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if not _is_unique(raw, body) or not check(value):
            return None
        return Part(body, value, frozenset(referenced_blobs({"part": raw})))

    return read


_NOTHING = (b"null", b"[]")
_HEAD_BYTES = 64
_MEMORIES: dict[str, SharedParts[Any]] = {
    "configurations": SharedParts(
        _reader(list[FclConfiguration], lambda value: not any(configuration_problems(value)))
    ),
    "software": SharedParts(_reader(list[Software], lambda _: True)),
}
