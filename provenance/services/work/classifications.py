"""Background work that classifies failures: its kind and its keys."""

import secrets
from collections.abc import Sequence

from sqlalchemy import Connection

from jobprov.provenance.services.work.queue import enqueue_all

CLASSIFY = "classify"
_JOBS_AN_ITEM = 16
"""Their keys fit the 200 characters of an item's, and their logs are read in some 20 ms."""
_ITEMS_AT_ONCE = 1000
CLASSIFIED_AT_ONCE = 16
"""Items. Single records that come one after another make an item each, which take ten times as long
one by one; of batches, items are as many jobs as can be read while a service that ends waits.
"""


def enqueue_failures(connection: Connection, jobs: Sequence[int]) -> None:
    """Queue these jobs, which did not succeed, to be classified.

    The key of an item is random text, a colon and the jobs. Random, because enqueuing an item with
    an existing key changes nothing, and one that is being worked on may have read a job before it
    changed: each change needs an item of its own.
    """
    parts = [jobs[start : start + _JOBS_AN_ITEM] for start in range(0, len(jobs), _JOBS_AN_ITEM)]
    keys = [f"{secrets.token_hex(4)}:{','.join(map(str, part))}" for part in parts]
    for start in range(0, len(keys), _ITEMS_AT_ONCE):
        enqueue_all(connection, CLASSIFY, keys[start : start + _ITEMS_AT_ONCE])
