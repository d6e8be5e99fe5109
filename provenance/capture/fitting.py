"""A record that the service takes: of files so many, and so many bytes.

What does not fit is left out and noted, or all would be refused.

Deliberately not cut: commands, configurations and code. A record without half of its arguments
would tell of another job.
"""

from jobprov.provenance.capture import spool

MOST_FILES = 32767  # record.md: inputs, and as many outputs
_MOST_BYTES = (8 << 20) - (256 << 10)  # record.md; the rest is for the notes
_LISTS = ("outputs", "inputs", "modules")


def fit(draft):
    """Cut the lists of a record to what one may hold.

    The last entries of the longest list go first.
    """
    for field in ("outputs", "inputs"):
        _cut(draft, field, MOST_FILES)
    excess = len(spool.encode(draft.record)) - _MOST_BYTES
    sizes = {field: _sizes(draft, field) for field in _LISTS} if excess > 0 else {}
    while excess > 0 and any(sizes.values()):
        field = max(sizes, key=lambda name: sum(sizes[name]))
        while excess > 0 and sizes[field]:
            excess -= sizes[field].pop()
        _cut(draft, field, len(sizes[field]))


def _sizes(draft, field):
    return [len(spool.encode(entry)) + 1 for entry in draft.record.get(field, ())]


def _cut(draft, field, most):
    entries = draft.record.get(field, ())
    if len(entries) > most:
        draft.note(
            "only {} of {} {} are recorded: a record holds no more".format(
                most, len(entries), field
            )
        )
        draft.record[field] = entries[:most]
