"""A job that one witness alone reports reads as the merging of its witnesses would read it."""

import json
from typing import Any

import pytest

from jobprov.provenance.errors import RecordError
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.ledger.witnessed_jobs import FinalRecord, WitnessRecords
from tests.library.records import a_record, digest, file_entry

PLAIN = a_record(1, inputs=[file_entry("a.root", 1)], outputs=[file_entry("b.root", 2)])


def _witnessed(record: dict[str, Any]) -> WitnessRecords:
    return WitnessRecords(finals={"wrapper": FinalRecord(0, 1, json.dumps(record).encode())})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"logs": [{"name": "log", "sha256": digest(7)}], "extra": {"failure": {"x": {"line": 1}}}},
        {"started_at": "2026-03-01T10:00:00.123456789Z"},
        {"started_at": "2026-03-01T10:59:60Z"},
        {"threads": 1 << 70},
        {"witness": None, "state": "failed", "exit": {"code": 3}},
        {"a_later_field": {"sha256": digest(8)}, "inputs": [], "outputs": None},
    ],
)
def test_one_witness_alone_reads_as_merged(changes: dict[str, Any]) -> None:
    witnesses = _witnessed({**PLAIN, **changes})

    alone, merged = witnesses.reading(), witnesses.merged()

    assert alone.record == merged.record
    assert alone.repairs == merged.repairs
    assert alone.contradictions == merged.contradictions
    assert alone.references == merged.references


def test_record_that_would_be_refused_today_is_still_read() -> None:
    record = {**PLAIN, "outputs": [file_entry("b.root", 2) | {"name": "b\u0007.root"}]}
    with pytest.raises(RecordError):
        decode_record(json.dumps(record).encode())

    read = _witnessed(record).reading().record

    assert read.outputs is not None
    assert read.outputs[0].name == "b\u0007.root"
