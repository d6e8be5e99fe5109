"""A gunicorn worker whose threads wait a moment for a connection's next request.

After each answer gunicorn hands the connection back to its main thread, which costs eight system
calls and three turns of Python's lock. A client that records job after job asks again within a
millisecond or two.
"""

import select
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

PATIENCE_MILLISECONDS = 10


class LingeringWorker(ThreadWorker):  # type: ignore[misc]  # the package has no types
    """gunicorn's threads, which stay with a connection while nobody waits for a thread.

    A thread stays for as long as its client goes on asking.
    """

    def handle(self, conn: Any) -> Any:
        """Answer a request, and those that follow at once.

        Return what gunicorn shall do with the connection.
        """
        kept = super().handle(conn)
        while kept is True and self._goes_on(conn):
            kept = super().handle(conn)
        return kept

    def _goes_on(self, conn: Any) -> bool:
        """Return whether the next request is there, or comes within moments."""
        # The pool has no word for it
        if not self.alive or self.cfg.is_ssl or self.tpool._work_queue.qsize():  # noqa: SLF001
            return False
        poll = select.poll()
        poll.register(conn.sock, select.POLLIN)
        return bool(poll.poll(PATIENCE_MILLISECONDS))
