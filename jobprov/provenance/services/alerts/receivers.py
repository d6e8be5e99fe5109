"""Where messages go: addresses of receivers, read when they are needed, and the sending itself."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.alerts import sender
from jobprov.provenance.services.alerts.rules import Receiver

SECONDS = 30.0
"""After so long sending is ended."""
_NO_PACKAGE = (
    "the package apprise is not installed: `./scripts/setup production`, or "
    "pip install 'jobprov[alerts]'"
)
_LONGEST_ANSWER = 10_000


class Sending(NamedTuple):
    """What became of a message.

    Attributes:
        problem: why it was not sent; None where it was.
        is_uncertain: whether it may have been sent all the same.
    """

    problem: str | None = None
    is_uncertain: bool = False

    @property
    def is_sent(self) -> bool:
        """Whether the receiver's service took it."""
        return self.problem is None


def address_of(name: str, receiver: Receiver) -> str:
    """Return the address of a receiver, which holds secrets.

    Raises:
        BadInputError: its file cannot be read or is empty, or its variable is not set. The message
            names where it was looked for, and nothing that was found there.
    """
    if receiver.url_variable is not None:
        address = os.environ.get(receiver.url_variable, "").strip()
        if not address:
            raise BadInputError(
                f"receiver {name}: the variable {receiver.url_variable} is not set.",
                {"url_variable": ["not set"]},
            )
        return address
    path = Path(receiver.url_file or "").expanduser()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "not UTF-8"
        raise BadInputError(
            f"receiver {name}: {path}: {reason}.", {"url_file": [str(reason)]}
        ) from None
    addresses = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if len(addresses) != 1:
        raise BadInputError(
            f"receiver {name}: {path} has to hold one line with one address.",
            {"url_file": ["one address"]},
        )
    return addresses[0]


def send(name: str, receiver: Receiver, title: str, body: str) -> Sending:
    """Send a message to a receiver, in a process that is ended if it takes too long."""
    if importlib.util.find_spec("apprise") is None:
        return Sending(_NO_PACKAGE)
    try:
        address = address_of(name, receiver)
    except BadInputError as problem:
        return Sending(str(problem).rstrip("."))
    return _run({"url": address, "title": title, "body": body})


def _run(message: dict[str, str]) -> Sending:
    try:
        # by its path: started as a module it would import this project
        done = subprocess.run(
            [sys.executable, "-P", str(Path(sender.__file__))],
            input=json.dumps(message).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            env=_environment(),
            # Ctrl-C is for the service, which waits some seconds for what is under way
            start_new_session=True,
            check=False,
        )
        answer = json.loads(done.stdout[:_LONGEST_ANSWER])
    except subprocess.TimeoutExpired:
        return Sending(f"no answer within {SECONDS:g} s", is_uncertain=True)
    except OSError as problem:
        return Sending(f"sending could not be started: {problem.strerror}")
    except ValueError:
        return Sending("sending broke off", is_uncertain=True)
    return Sending() if answer["sent"] else Sending(answer["problem"], answer["is_uncertain"])


def _environment() -> dict[str, str]:
    """Return the environment without this service's own settings, which hold secrets, too."""
    return {name: value for name, value in os.environ.items() if not name.startswith("JOBPROV_")}
