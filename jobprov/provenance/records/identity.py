"""Names of things that every witness must come to alike.

Source: record.md, "Identity and finality".
"""

import uuid

JOB_NAMESPACE = uuid.UUID("6f2a0c1e-5b7d-5e0a-9c3f-23518a16f001")

WITNESSES = ("wrapper", "postcmd", "startd", "history", "catalog", "import")
"""Who can have seen a job, best first: the precedence of their merge."""


def witness_rank(witness: str) -> tuple[int, str]:
    """Return the place of a witness in the precedence.

    Words that are not known here come last, by name.
    """
    try:
        return WITNESSES.index(witness), ""
    except ValueError:
        return len(WITNESSES), witness
