"""What faults befall: a service with its folder, its disks and its database, and what was sent."""

import os
import random
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

from jobprov.app.config import Settings, load_settings
from jobprov.app.wiring import Service, open_service
from tests.endurance.databases import DatabaseServer
from tests.endurance.disks import SmallDisks
from tests.endurance.failing_line import FailingLine
from tests.endurance.load import Acknowledged
from tests.library.commands import clean_environment, run_command, start_command
from tests.library.servers.live_service import LiveService


@dataclass
class Scene:
    """A service that is started and meets its faults again and again.

    Attributes:
        data: the folder of the service.
        database: where its database lies, and others can be made.
        environment: its settings, such as the address of its database.
        chance: decides the moments.
        disks: on which the folder lies, where small ones can be mounted.
        s3_line: the line to the S3 server on which the archive lies, if it does.
        most_seconds: the longest that a service lives before a fault, or a fault lasts.
        sent: what it acknowledged.
        struck: how often a fault befell it.
    """

    data: Path
    database: DatabaseServer
    environment: dict[str, str]
    chance: random.Random
    disks: SmallDisks | None
    s3_line: FailingLine | None
    most_seconds: float
    sent: Acknowledged = field(default_factory=Acknowledged)
    struck: int = 0

    def moment(self) -> float:
        """Return how long to wait until, or during, a fault; in seconds."""
        return self.chance.uniform(0, self.most_seconds)

    def start(self, more: Mapping[str, str]) -> LiveService:
        """Start the service, with these settings besides."""
        return LiveService(self.data, **self.environment, **more)

    def begin(self, *words: str, **more: str) -> BaseProcess:
        """Begin a command on the machine of the service; what it prints is not kept."""
        nowhere = [Path(os.devnull)] * 2
        environment = {**clean_environment(), **self.settings_as_words(), **more}
        return start_command(*words, environment=environment, output=nowhere)

    def run(self, *words: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """Run a command on the machine of the service, to its end; some settings changed."""
        environment = {**clean_environment(), **self.settings_as_words(), **more}
        return run_command(*words, environment=environment)

    def settings_as_words(self) -> dict[str, str]:
        """Return the settings as they stand in an environment."""
        return {"JOBPROV_DATA": str(self.data), **self.environment}

    def settings(self, **more: str) -> Settings:
        """Return the settings, some of them changed."""
        return load_settings({**self.settings_as_words(), **more}, {})

    def opened(self, **more: str) -> Service:
        """Return the service's parts, opened by this process; close them."""
        return open_service(self.settings(**more))
