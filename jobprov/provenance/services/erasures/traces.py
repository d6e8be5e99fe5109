"""Removes the texts of an erased record from the database, and counts where they remain.

Removed are the job's dead letters and log tails, what other jobs of its kind are told that it used,
and kept answers, where they hold one of the texts. Rows that many jobs share (names of files and
hosts, addresses of repositories, values of parameters) stay and are counted; a database that is
rebuilt from the ledger no longer has them.
"""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Connection

from jobprov.provenance.db.changes.erasures import remove_kept_answer, remove_traced_kind
from jobprov.provenance.db.changes.intake import remove_log
from jobprov.provenance.db.changes.recording import remove_letters
from jobprov.provenance.db.queries.erasures import (
    count_with_texts,
    kept_answers,
    letters_of_job,
    log_tails,
    packed_values,
    traced_kinds,
)
from jobprov.provenance.db.queries.lookup.jobs.details import FoundJob
from jobprov.provenance.records.erasing import forms_of, holds_any

_MOST_TEXTS = 20
"""For up to so many texts every table is searched; for more, none is."""


def remove_traces(connection: Connection, job: FoundJob, texts: Sequence[str]) -> None:
    """Remove the job's dead letters, log tails and traced kinds, and kept answers, with a text."""
    forms = forms_of(texts)
    for letter in letters_of_job(connection, job.job_id):
        if holds_any(letter.body, forms):
            remove_letters(connection, [letter.number])
    # The whole tail is searched: a text may begin in one of its pieces and end in the next
    for name, tail in log_tails(connection, job.key).items():
        if holds_any(tail, forms):
            remove_log(connection, job.key, name)
    # A correction that was traced too has written anew what jobs of its kind are told
    for key, used in traced_kinds(connection, job.experiment, job.job_id).items():
        if holds_any(used.encode(), forms):
            remove_traced_kind(connection, job.experiment, key)
    for question, document in kept_answers(connection).items():
        if holds_any(document.encode(), forms):
            remove_kept_answer(connection, question)


def find_remains(connection: Connection, texts: Sequence[str]) -> dict[str, int] | None:
    """Return how many rows still hold any of the texts, by table and column.

    Every table is read, except for the bytes of the ledger; for too many texts none is, and the
    answer is None.
    """
    if len(texts) > _MOST_TEXTS:
        return None
    if not texts:
        return {}
    forms = forms_of(texts)
    readable = [form.decode(errors="ignore") for form in forms]
    remains = Counter(count_with_texts(connection, readable))
    for place, value in packed_values(connection):
        if holds_any(value, forms):
            remains[place] += 1
    return dict(remains)
