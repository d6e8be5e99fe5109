"""Background work that classifies failures: its kind and its keys."""

import secrets
from collections.abc import Sequence

from sqlalchemy import Connection

from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.services.work.queue import enqueue_all

CLASSIFY = "classify"
_JOBS_AN_ITEM = 16
"""Their keys fit the 200 characters of an item's, and their logs are read in some 20 ms."""
_ITEMS_AT_ONCE = 1000
CLASSIFIED_AT_ONCE = 16
"""Items. Records that come one after another make an item each, and done one by one these take ten
times as long. The items of batches have as many jobs as can be read while an ending service waits.
"""


def enqueue_failures(connection: Connection, jobs: Sequence[int]) -> None:
    """Queue these jobs, which did not succeed, to be classified.

    The key of an item is random text, a colon and the jobs. Random, because enqueuing an item with
    an existing key changes nothing, and one that is being worked on may have read a job before it
    changed: each change needs an item of its own.
    """
    keys = []
    for part in chunks(jobs, _JOBS_AN_ITEM):
        keys.append(f"{secrets.token_hex(4)}:{','.join(map(str, part))}")
    for keys_together in chunks(keys, _ITEMS_AT_ONCE):
        enqueue_all(connection, CLASSIFY, keys_together)
