"""Which PostgreSQL answers, and whether it went back in time: told in the log.

After a failover to a standby that was behind, or a restore, records that were acknowledged may not
be there. The timeline, or the identity of the cluster, is another one then. What the process
remembers of rows is forgotten with every connection anyway (`write_queue`).

Source: PostgreSQL's documentation, "Control Data Functions", "Timelines".
"""

import logging
from typing import Any, NamedTuple

_WHICH = "SELECT system_identifier, timeline_id FROM pg_control_system(), pg_control_checkpoint()"
_log = logging.getLogger("jobprov.database")


class ServerIdentity(NamedTuple):
    """What a server says of itself.

    Attributes:
        system: made once, with the cluster.
        timeline: another after each failover and each restore to a moment.
    """

    system: int
    timeline: int


class ServerWatch:
    """Compares the server of each new connection with that of the one before."""

    def __init__(self) -> None:
        self._last: ServerIdentity | None = None

    def look(self, connection: Any, _record: Any = None) -> None:
        """Look at a new connection of the driver; a server that may not be asked is not judged."""
        with connection.cursor() as cursor:
            try:
                cursor.execute(_WHICH)
            except connection.Error:
                connection.rollback()
                return
            identity = ServerIdentity(*cursor.fetchone())
        connection.commit()
        if self._last not in (None, identity):
            _log.warning(
                "PostgreSQL is another one, or went back in time (system %d, timeline %d; before: "
                "system %d, timeline %d). What was recorded last may be missing: compare with "
                "`jobprov archive check`, and send again what lies in spools.",
                *identity,
                *self._last,
            )
        self._last = identity
