"""Secrets in records: a quick look at all signs at once comes first.

It must let nothing pass that the rules would find.
"""

import json
from typing import Any

import pytest

from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.intake.secrets import rules_in_text, secrets_in_record

SECRETS = {
    "pem": "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl",
    "aws-key-id": "AKIAIOSFODNN7EXAMPLE",
    "service-token": "ghp_" + "a1" * 18,
    "url-password": "https://user:hunter22@example.org/x",
    "authorization": "Authorization: Bearer abcdefghijklmnop1234",
    "signed-query": "https://example.org/x?X-Amz-Signature=abcdef0123",
    "assignment": "password='hunter22'",
}


def _record(**fields: Any) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "job_id": "0f8b4bd0-6a3c-4d35-8b1c-1f2e3d4c5b6a",
        "experiment": "nova",
        "state": "succeeded",
        "started_at": "2026-01-01T00:00:00.1234567+00:00",
        "command": {
            "argv": ["art", "-c", "reco.fcl", "-s", "root://dcache.example.org:1094//pnfs/a.root"]
        },
        "batch": {"id": "81234.17@sched01"},
        **fields,
    }


def _found(record: dict[str, Any], *, slashes: bool = False) -> set[str]:
    body = json.dumps(record, separators=(",", ":"), ensure_ascii=False)
    return {
        rule
        for rules in secrets_in_record(
            decode_record((body.replace("/", "\\/") if slashes else body).encode())
        ).values()
        for rule in rules
    }


@pytest.mark.parametrize("rule", SECRETS)
@pytest.mark.parametrize("slashes", [False, True])
def test_secret_is_found_wherever_it_stands(rule: str, *, slashes: bool) -> None:
    """In a text of the record, in a variable, and in an unknown field.

    With slashes as some JSON writers escape them.
    """
    text = f"before {SECRETS[rule]} after"

    assert rule in _found(_record(exit={"code": 1, "message": text}), slashes=slashes)
    assert rule in _found(_record(environment={"variables": {"NOTE": text}}), slashes=slashes)
    assert rule in _found(_record(extra={"deep": [{"note": text}]}), slashes=slashes)


def test_variable_with_a_suspicious_name_is_found_each_time() -> None:
    records = [
        _record(environment={"variables": {"HOME": "/home/x", **more}})
        for more in ({}, {"DB_PASSWORD": "q7"}, {"DB_PASSWORD": "q8"})
    ]

    assert [_found(record) for record in records] == [set(), {"name"}, {"name"}]


def test_addresses_and_words_of_everyday_are_no_secrets() -> None:
    record = _record(
        exit={
            "code": 1,
            "message": 'could not open "root://dcache.example.org:1094//a.root": token expired\n',
        },
        environment={
            "variables": {
                "SOURCE": "https://example.org:8443/x@y",
                "SECRETARY": "none",
                "PATH": "/bin:/usr/bin",
            }
        },
    )

    assert _found(record) == set()


@pytest.mark.slow
@pytest.mark.parametrize("rule", SECRETS)
def test_secret_is_found_wherever_it_stands_in_a_long_text(rule: str) -> None:
    """The signs are looked for in pieces, and one may lie across the end of a piece."""
    secret = SECRETS[rule].encode()

    for start in range((1 << 16) - len(secret), 1 << 16):
        lines = b"x" * (start - 1) + b"\n" + secret + b" after\n" + b"x" * (1 << 16)
        assert rule in rules_in_text(lines), f"{rule} at {start} is not found"

    assert rules_in_text(b"nothing at https://example.org/x\n" * 10_000) == []
