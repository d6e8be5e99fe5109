"""From bytes to a record, or to errors that name the field."""

import json
import time
from datetime import UTC, datetime, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobprov.provenance.errors import RecordError
from jobprov.provenance.records.identity import witness_rank
from jobprov.provenance.records.job_record import JobRecord
from jobprov.provenance.records.reading import checks, decoding, sharing
from jobprov.provenance.records.reading.decoding import DecodedRecord, decode_record
from jobprov.provenance.records.reading.references import referenced_blobs, references_in
from jobprov.provenance.records.reading.repairing import parse_object, read_plain, utc
from tests.library.records import a_record, digest


def decode(**fields: Any) -> DecodedRecord:
    return decode_record(json.dumps({**a_record(1), **fields}).encode())


def refused(body: bytes) -> dict[str, list[str]]:
    with pytest.raises(RecordError) as problem:
        decode_record(body)
    return problem.value.fields


@pytest.mark.parametrize("number", ["1e308", "1E+308", "5e-324", "1234567890.0e290"])
def test_many_numbers_that_are_read_slowly_are_refused(number: str) -> None:
    numbers = ",".join([number] * 200_000)
    body = json.dumps({**a_record(1), "new": "HERE"}).replace('"HERE"', f"[{numbers}]").encode()
    began = time.process_time()

    fields = refused(body)

    assert fields == {"": ["at most 1000 numbers may have an exponent of three digits"]}
    assert time.process_time() - began < 1


def test_some_such_numbers_and_many_such_words_are_taken() -> None:
    hosts = ",".join(f"node{number:04}" for number in range(3000))

    decoded = decode(new=[1e308] * 1000, words=f"{hosts},", more=[1e22] * 3000)

    assert decoded.raw["new"][-1] == 1e308


def test_record_is_kept_in_its_bytes_with_fields_that_are_not_known() -> None:
    decoded = decode(new={"a": [1.5]}, threads=4)
    assert (decoded.raw["new"], decoded.record.threads, decoded.repairs) == ({"a": [1.5]}, 4, ())  # type: ignore[union-attr]
    assert json.loads(decoded.body) == decoded.raw


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "Expecting value"),
        (b"[1]", "not an object"),
        (b"\xff\xfe{", "not in UTF-8"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "duplicate key"),
        (b"[" * 200_000, "nested too deeply"),
        (json.dumps(a_record(1)).encode("utf-16"), "not in UTF-8"),
        (json.dumps(a_record(1)).encode("utf-16-le"), "Expecting"),
        (json.dumps(a_record(1)).encode("utf-8-sig"), "BOM"),
    ],
)
def test_body_that_is_no_object_is_refused(body: bytes, words: str) -> None:
    assert words in str(refused(body))


def test_body_past_the_limit_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "LIMIT_BYTES", 10)
    assert refused(b"x" * 11) == {"": ["longer than 10 bytes"]}


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"x": {"y": ["a", "\0"]}}, "x.y[1]"),
        ({"x": "\ud800"}, "x"),
        ({"x": {"a\udfff": 1}}, "x.a\\udfff"),
    ],
)
def test_text_that_no_database_keeps_is_refused(fields: dict[str, Any], path: str) -> None:
    assert list(refused(json.dumps({**a_record(1), **fields}).encode())) == [path]


def test_pair_of_surrogates_is_one_letter() -> None:
    assert decode(x="\U0001f600", y={"z": 1, "l": [None]}).raw["x"] == "\U0001f600"


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"state": "odd"}, "state"),
        ({"job_id": "7"}, "job_id"),
        ({"job_id": a_record(1)["job_id"] + "\n"}, "job_id"),
        ({"experiment": "no space"}, "experiment"),
        ({"experiment": "nova\n"}, "experiment"),
        ({"logs": [{"name": "x", "sha256": digest(1) + "\n"}]}, "logs[0].sha256"),
        ({"schema_version": True}, "schema_version"),
        ({"started_at": "2026-01-01T00:00:00"}, "started_at"),
        ({"started_at": "yesterday"}, "started_at"),
        ({"started_at": None}, "started_at"),
        ({"ended_at": "1969-12-31T23:59:59Z"}, "ended_at"),
        ({"sent_at": "2200-01-01T00:00:00Z"}, "sent_at"),
        ({"sent_at": "0001-01-01T00:00:00+14:00"}, "sent_at"),
        ({"task": {"unit": "a\nb"}}, "task.unit"),
        ({"task": {"task_id": "a/b"}}, "task.task_id"),
        ({"inputs": [{"name": "a/b"}]}, "inputs[0].name"),
        ({"outputs": [{"name": "."}]}, "outputs[0].name"),
        ({"outputs": [{"name": "\U0001f600" * 751}]}, "outputs[0].name"),
        ({"outputs": [{"name": "a", "namespace": "\u2028"}]}, "outputs[0].namespace"),
        ({"outputs": [{"name": "a", "checksums": ["md5:1", "none"]}]}, "outputs[0].checksums[1]"),
        ({"outputs": [{"name": "a", "checksums": ["md5:1\n"]}]}, "outputs[0].checksums[0]"),
        ({"inputs": [{"name": "a", "size_bytes": -1}]}, "inputs[0].size_bytes"),
        ({"scripts": [{"name": "\x7f"}]}, "scripts[0].name"),
        (
            {"configurations": [{"files": [{"name": "a/b.fcl"}, {"name": "\t"}]}]},
            "configurations[0].files[1].name",
        ),
        ({"logs": [{"name": "good"}, {"name": ".."}]}, "logs[1].name"),
        ({"scripts": [{"name": "good"}, {"name": "\n"}]}, "scripts[1].name"),
        ({"environment": {"variables": {"GOOD": "x", "BAD": None}}}, "environment.variables.BAD"),
    ],
)
def test_field_that_cannot_be_taken_is_named(fields: dict[str, Any], path: str) -> None:
    assert path in refused(json.dumps({**a_record(1), **fields}).encode())


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"experiment": "a b"},
            "not 1 to 64 letters, digits, _ and -, the first of them a letter or digit",
        ),
        ({"job_id": "7"}, "not a UUID in lower case"),
        ({"scripts": [{"name": "x", "sha256": "ABC"}]}, "not 64 lower-case hex digits"),
    ],
)
def test_words_say_what_is_asked_for_and_not_a_regular_expression(
    fields: dict[str, Any], words: str
) -> None:
    assert list(refused(json.dumps({**a_record(1), **fields}).encode()).values()) == [[words]]


@pytest.mark.parametrize(
    ("fields", "beginning"),
    [
        ({"experiment": "no va"}, "experiment 'no va': not 1 to 64 letters"),
        ({"experiment": "no va", "schema_version": 2}, "experiment 'no va': not 1 to 64 letters"),
        (
            {"experiment": "eyJhbGciOiJSUzI1NiJ9." * 10},
            "experiment 'eyJhbGciOiJSUzI1NiJ9'… (210 characters): not 1 to 64 letters",
        ),
        ({"job_id": "7"}, "job_id '7': not a UUID in lower case"),
        ({"experiment": 7}, "experiment: text is expected, not a whole number."),
    ],
)
def test_refusal_quotes_the_wrong_name(fields: dict[str, Any], beginning: str) -> None:
    """Whoever reads it in a list of dead letters, or in a log, does not have the record."""
    with pytest.raises(RecordError) as problem:
        decode_record(json.dumps({**a_record(1), **fields}).encode())

    assert str(problem.value).startswith(beginning)


def test_key_that_stands_twice_in_a_good_record_is_refused() -> None:
    body = (
        json.dumps(a_record(1, extra={"a": {"b": 1}}))
        .encode()
        .replace(b'"b": 1', b'"b": 1, "b": 1')
    )
    assert refused(body) == {"b": ["duplicate key"]}


def test_number_past_64_bits_in_a_free_field_is_kept_whole() -> None:
    assert decode(extra={"big": 2**70 + 1}).raw["extra"] == {"big": 2**70 + 1}


def test_missing_field_is_named() -> None:
    assert list(refused(b'{"schema_version": 1}')) == ["job_id"]


def test_all_fields_that_fail_are_named() -> None:
    fields = {"task": {"task_id": "a/\n"}, "logs": [{"name": "/"}]}
    found = refused(json.dumps({**a_record(1), **fields}).encode())
    assert {path: len(messages) for path, messages in found.items()} == {
        "task.task_id": 2,
        "logs[0].name": 1,
    }


def test_more_declared_parents_than_the_writer_takes_at_once_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checks, "MOST_PARENTS", 5)
    inputs = [{"name": "a"}, {"name": "b"}, {"name": "c"}]
    declaring = [{"name": str(number), "parents": ["a"]} for number in range(6)]

    assert decode(inputs=inputs, outputs=declaring[:5])
    assert decode(inputs=inputs, outputs=[{"name": "x"}, {"name": "y"}])
    with pytest.raises(RecordError, match="6 declared parents, more than 5"):
        decode(inputs=inputs, outputs=declaring)


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1969-12-31T23:59:59Z"]
)
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("batch.queued_at", {"batch": {"queued_at": "TIME"}}),
        (
            "command.steps[0].started_at",
            {"command": {"steps": [{"name": "x", "started_at": "TIME"}]}},
        ),
        ("command.steps[0].ended_at", {"command": {"steps": [{"name": "x", "ended_at": "TIME"}]}}),
        ("inputs[0].opened_at", {"inputs": [{"name": "a", "opened_at": "TIME"}]}),
        ("inputs[0].closed_at", {"inputs": [{"name": "a", "closed_at": "TIME"}]}),
        ("outputs[0].created_at", {"outputs": [{"name": "a", "created_at": "TIME"}]}),
        ("outputs[0].closed_at", {"outputs": [{"name": "a", "closed_at": "TIME"}]}),
    ],
)
def test_time_of_a_part_outside_the_years_is_refused(
    path: str, fields: dict[str, Any], text: str
) -> None:
    body = json.dumps({**a_record(1), **fields}).replace("TIME", text).encode()

    with pytest.raises(RecordError) as problem:
        decode_record(body)

    assert problem.value.fields == {path: ["outside the years 1970 to 2199"]}


def test_number_out_of_range_in_a_field_that_only_sounds_like_a_time_is_no_time() -> None:
    body = json.dumps({**a_record(1), "threads": 2**70, "seen_at": 2**70}).encode()
    assert decode_record(body).repairs == ("threads", "seen_at")


def test_every_time_of_a_record_is_checked() -> None:
    """A field that is added to the structs must not be forgotten here."""
    text = json.dumps(msgspec.json.schema(JobRecord))
    times_of_files = ["inputs", "scripts and fcl files", "layout"]  # may be of any year
    assert text.count("date-time") == 10 + len(times_of_files)


def test_file_may_be_of_any_year() -> None:
    files = [{"name": "a", "modified_at": "1601-01-01T00:00:00.000000001Z"}]
    layout = [{"path": "b", "kind": "folder", "modified_at": "2999-01-01T00:00:00Z"}]
    body = json.dumps({**a_record(1), "inputs": files, "layout": layout}).encode()

    assert decode_record(body).repairs == ()


def test_more_files_than_a_list_of_positions_holds_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checks, "MOST_FILES", 1)
    assert "inputs" in refused(
        json.dumps(a_record(1, inputs=[{"name": "a"}, {"name": "b"}])).encode()
    )


@pytest.mark.parametrize("state", ["killed", "lost"])
def test_killed_and_lost_jobs_need_no_start(state: str) -> None:
    assert decode(state=state, started_at=None).record is not None


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2016-12-31 23:59:60.25z", datetime(2016, 12, 31, 23, 59, 59, 250_000, tzinfo=UTC)),
        ("2026-01-01T00:00:00.123456789Z", datetime(2026, 1, 1, 0, 0, 0, 123_456, tzinfo=UTC)),
        ("2026-01-01T02:00:00.1+02:00", datetime(2026, 1, 1, 0, 0, 0, 100_000, tzinfo=UTC)),
    ],
)
def test_leap_seconds_are_clamped_and_nanoseconds_cut(text: str, moment: datetime) -> None:
    decoded = decode(started_at=text)
    assert decoded.record is not None
    assert (decoded.record.started_at, decoded.raw["started_at"], decoded.repairs) == (
        moment,
        text,
        (),
    )


def test_number_out_of_range_becomes_null_and_is_named() -> None:
    decoded = decode(
        threads=2**63, extra={"big": 2**70}, resources={"max_rss_bytes": -(2**64)}, hosts=[True]
    )
    assert decoded.record is not None
    assert (decoded.record.threads, decoded.record.extra) == (None, {"big": 2**70})
    assert set(decoded.repairs) == {"threads", "resources.max_rss_bytes"}
    assert decode(threads=2**63 - 1).repairs == ()


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"resources": {"wall_seconds": 1e300}}, "resources.wall_seconds"),
        ({"modules": [{"seconds_total": 1.5}, {"seconds_max": -1e19}]}, "modules[1].seconds_max"),
        (
            {"inputs": [{"name": "a", "times_within_seconds": 1e19}]},
            "inputs[0].times_within_seconds",
        ),
    ],
)
def test_duration_out_of_range_is_null_in_the_fast_reading_too(
    fields: dict[str, Any], path: str
) -> None:
    assert decode(**fields).repairs == (path,)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"outputs": 10**400}, "outputs"),
        ({"software": 2**70}, "software"),
        ({"configurations": [{"files": -(2**64)}]}, "configurations[0].files"),
        ({"environment": 2**70}, "environment"),
        ({"host": {"hostname": 2**70}}, "host.hostname"),
    ],
)
def test_number_out_of_range_where_no_number_belongs_is_a_wrong_type(
    fields: dict[str, Any], path: str
) -> None:
    with pytest.raises(RecordError) as caught:
        decode(**fields)

    assert list(caught.value.fields) == [path]


def test_record_of_a_later_version_is_kept_unread_if_its_names_hold() -> None:
    assert decode(schema_version=2, state=["new"], outputs="all").record is None
    assert "experiment" in refused(
        json.dumps({**a_record(1), "schema_version": 2, "experiment": "/"}).encode()
    )


def test_plain_reading_agrees_with_the_fast_one() -> None:
    decoded = decode(outputs=[{"name": "a"}], seeds=[{"seed": 1}])
    assert read_plain(decoded.raw) == (decoded.record, ())


def test_moment_without_a_form_in_utc_is_refused() -> None:
    from datetime import timedelta  # noqa: PLC0415

    with pytest.raises(RecordError, match="outside the years"):
        utc(datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))))


def test_witnesses_have_a_precedence_and_unknown_ones_come_last() -> None:
    assert sorted(["new", "history", "import", "wrapper", "a"], key=witness_rank) == [
        "wrapper",
        "history",
        "import",
        "a",
        "new",
    ]


_digests = st.sampled_from(
    [digest(n) for n in range(4)]
    + ["short", digest(1)[:-1], digest(1).upper().replace("0", "A"), None, 7]
)
_leaves = st.one_of(
    st.none(),
    st.integers(),
    st.sampled_from(["sha256", "x_sha256", '"sha256": "', digest(2)]),
    _digests,
)
_keys = st.sampled_from(
    [
        "sha256",
        "log_sha256",
        "notsha256",
        "a",
        "inputs",
        "outputs",
        'q"sha256',
        "é_sha256",
        "\u0073ha256",
    ]
)
_values = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3),
    max_leaves=12,
)
_records = st.dictionaries(_keys, _values, max_size=5)


def test_key_that_only_ends_alike_is_no_reference() -> None:
    for record in (
        {"sha256": {"notsha256": digest(1)}},
        {'a"sha256': digest(1)},
        {"sha256": 1, "xsha256": digest(1)},
    ):
        assert (
            references_in(json.dumps(record).encode(), record) == referenced_blobs(record) == set()
        )


@pytest.mark.slow
@given(record=_records, is_ascii=st.booleans(), indent=st.sampled_from([None, 1]))
def test_references_in_bytes_are_those_of_the_walk(
    record: dict[str, Any],
    is_ascii: bool,  # noqa: FBT001
    indent: int | None,
) -> None:
    body = json.dumps(record, ensure_ascii=is_ascii, indent=indent).encode()
    assert references_in(body, record) == referenced_blobs(record)


def test_digest_of_a_file_is_no_reference_but_every_other_is() -> None:
    record: dict[str, Any] = {
        "inputs": [{"name": "a", "sha256": digest(1), "deep": {"sha256": digest(2)}}, "odd"],
        "outputs": [{"name": "b", "sha256": digest(1), "metadata": {"cfg_sha256": digest(3)}}],
        "unknown": [[{"sha256": digest(4)}]],
        "logs": [{"sha256": digest(5)}],
    }
    record["inputs"].append({"name": "c"})  # without a digest
    expected = {digest(n) for n in (2, 3, 4, 5)}
    assert (
        referenced_blobs(record) == references_in(json.dumps(record).encode(), record) == expected
    )


_configurations = st.lists(
    st.fixed_dictionaries(
        {"main": st.sampled_from(["a.fcl", "b.fcl"])},
        optional={
            "files": st.lists(
                st.fixed_dictionaries(
                    {"name": st.just("a.fcl")}, optional={"sha256": st.sampled_from([digest(1)])}
                )
            ),
            "note": st.recursive(
                st.sampled_from([digest(2), "[", '"']), lambda inner: st.lists(inner, max_size=2)
            ),
            "log_sha256": st.sampled_from([digest(3), digest(4)]),
        },
    ),
    max_size=2,
)
_software = (
    st.lists(st.fixed_dictionaries({"name": st.sampled_from(["x", "y"])}), max_size=2) | st.none()
)


@given(
    configurations=_configurations,
    software=_software,
    extra=_configurations | _records,
    indent=st.sampled_from([None, 1]),
)
def test_parts_that_are_shared_are_read_as_in_their_record(
    configurations: Any, software: Any, extra: Any, indent: int | None
) -> None:
    record = a_record(1, extra={"same": extra}, configurations=configurations, software=software)

    decoded = decode_record(json.dumps(record, ensure_ascii=False, indent=indent).encode())

    assert decoded.raw == record
    assert decoded.record == read_plain(record)[0]
    assert decoded.references == referenced_blobs(record)


def test_equal_parts_of_records_are_one_object() -> None:
    configurations = [{"main": "a.fcl", "files": [{"name": "a.fcl", "sha256": digest(1)}]}]
    one, other = (
        decode(threads=threads, configurations=configurations).record for threads in (1, 2)
    )
    assert one is not None
    assert other is not None
    assert one.configurations is other.configurations


@pytest.mark.parametrize(
    "twice", ['[{"main": "a", "main": "b"}]', '[{"unknown": [{"a": 1, "a": 2}]}]']
)
def test_duplicate_key_in_a_shared_part_is_refused(twice: str) -> None:
    body = json.dumps({**a_record(1), "configurations": "HERE"}).replace('"HERE"', twice).encode()
    assert refused(body)
    assert refused(body), "the second time as the first"


def test_part_that_stands_twice_in_a_record_is_refused() -> None:
    body = json.dumps({**a_record(1), "configurations": [{"main": "a.fcl"}]})
    assert "configurations" in refused(
        f'{body[:-1]}, "configurations": [{{"main": "a.fcl"}}]}}'.encode()
    )


def test_memory_of_shared_parts_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "MOST_BYTES", 1000)
    parts = sharing.SharedParts[list[int]](
        lambda body: sharing.Part(body, [len(body)], frozenset())
    )
    calls: list[list[int]] = []

    @sharing.remembered
    def length(part: list[int]) -> int:
        calls.append(part)
        return len(part)

    first = parts.get(b"0" * 400)
    assert first is not None

    for _ in range(2):
        length(first.value)
    for number in range(1, 4):
        parts.get(b"%d" % number * 400)
    length(first.value)

    assert len(calls) == 2, "remembered while it was held, computed when it was forgotten"
    assert parts.get(b"0" * 400) is not first


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"a":"\xe9"}', "not in UTF-8 (byte 6)"),
        (b'{"a":' + b"9" * 5000 + b"}", "a number of more than 4300 digits"),
        (b'{"a":1', "Expecting ',' delimiter: line 1 column 7 (char 6)"),
    ],
)
def test_what_is_no_json_is_told_in_words_for_who_sent_it(body: bytes, reason: str) -> None:
    with pytest.raises(RecordError) as refused:
        parse_object(body)

    assert str(refused.value) == f"The body is not JSON: {reason}."
    assert refused.value.fields == {"": [reason]}
