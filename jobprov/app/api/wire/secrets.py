"""No call stores what looks like a secret: the rules of the hook apply again to whatever comes."""

from typing import Any

from jobprov.app.api.wire.bodies import read_body
from jobprov.app.errors import SecretFoundError
from jobprov.provenance.records.job_record import JsonObject
from jobprov.provenance.records.reading.decoding import DecodedRecord
from jobprov.provenance.records.reading.repairing import parse_object
from jobprov.provenance.services.intake.secrets import secrets_in, secrets_in_record


def sent_document(limit_bytes: int, what: str = "The body") -> JsonObject:
    """Return the JSON object that was sent, in which no rule finds a secret.

    Raises:
        BadInputError: it is not a JSON object.
        LimitError: it is longer than `limit_bytes`.
        SecretFoundError: see `refuse_secrets`.
    """
    document = parse_object(read_body(limit_bytes), what)
    refuse_secrets(document)
    return document


def refuse_secrets(document: Any) -> None:
    """Check that no rule finds a secret in a decoded body.

    Raises:
        SecretFoundError: one does; nothing was stored, and `errors` says where.
    """
    _refuse(secrets_in(document))


def refuse_secrets_of(decoded: DecodedRecord) -> None:
    """Check the same of a record.

    Raises:
        SecretFoundError: see `refuse_secrets`.
    """
    _refuse(secrets_in_record(decoded))


def _refuse(secrets: dict[str, list[str]]) -> None:
    if secrets:
        places = ", ".join(list(secrets)[:5]) or "the body"
        message = (
            f"There seems to be a secret in {places}; nothing was stored. Redact it and send again."
        )
        raise SecretFoundError(message, secret_messages(secrets))


def secret_messages(secrets: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return messages by field, from the rules that found a secret there."""
    return {path: [f"secret-found: {', '.join(rules)}"] for path, rules in secrets.items()}
