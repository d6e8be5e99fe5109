"""An application of ours on a free port of loopback, in a thread of the tests."""

import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from flask import Flask
from werkzeug.serving import make_server


def served(app: Flask) -> Iterator[str]:
    """Serve an application on a free port; each answer is read and closed before it is sent.

    werkzeug's server does not close one whose browser went on: reading what is left of the line
    fails before.
    """

    def whole(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        with closing(app(environ, start_response)) as parts:  # type: ignore[type-var]
            return list(parts)

    server = make_server("127.0.0.1", 0, whole, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
