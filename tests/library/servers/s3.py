"""A real S3 server: SeaweedFS from its wheel, started for the tests on free ports of loopback."""

import json
import os
import shutil
import socket
import subprocess
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path

BUCKET = "jobprov"
KEYS = ("tests", "not a secret")
READER_KEYS = ("reader", "may only read")
_START_SECONDS = 60


class S3Server:
    """A running server with one empty bucket; `environment` is what leads to it."""

    def __init__(self) -> None:
        # Short, as there are sockets in it
        self._folder = Path(tempfile.mkdtemp(prefix="jobprov-s3-"))
        names = (
            "s3",
            "s3.port.grpc",
            "master",
            "master.port.grpc",
            "volume",
            "volume.port.grpc",
            "filer",
            "filer.port.grpc",
        )
        self._ports = dict(zip(names, _free_ports(len(names)), strict=True))
        (self._folder / "data").mkdir()
        writer = _identity("writer", KEYS, "Admin", "Read", "Write", "List")
        reader = _identity("reader", READER_KEYS, "Read", "List")
        (self._folder / "keys.json").write_text(json.dumps({"identities": [writer, reader]}))
        with (self._folder / "log").open("w") as log:
            # as many volumes at first as it makes otherwise would keep the first upload waiting for
            # seconds
            environment = {**os.environ, "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}
            self.process = subprocess.Popen(
                self._words(), stdout=log, stderr=subprocess.STDOUT, env=environment
            )
        self.url = f"http://127.0.0.1:{self._ports['s3']}"
        self.environment = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEYS[0],
            "AWS_SECRET_ACCESS_KEY": KEYS[1],
            "AWS_REGION": "us-east-1",
        }
        self._wait_for(f"http://127.0.0.1:{self._ports['filer']}/buckets/{BUCKET}/", "POST")
        self._wait_for(f"{self.url}/{BUCKET}", "GET")

    def stop(self) -> None:
        """End it at once, since it does not end when it is asked to, and remove its data."""
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _words(self) -> list[str]:
        ports = [
            f"-{name}={port}" if "." in name else f"-{name}.port={port}"
            for name, port in self._ports.items()
        ]
        return [
            *[
                f"{sysconfig.get_path('scripts')}/weed",
                "server",
                f"-dir={self._folder / 'data'}",
                *ports,
            ],
            *[
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                "-s3",
                f"-s3.config={self._folder / 'keys.json'}",
            ],
            *["-s3.autoCreateBucket=false", "-s3.port.iceberg=0", "-s3.port.lance=0"],
            *[
                f"-s3.localSocket={self._folder / 's3.sock'}",
                f"-filer.localSocket={self._folder / 'filer.sock'}",
            ],
            *["-volume.max=8", "-volume.minFreeSpace=1", "-master.volumeSizeLimitMB=1024"],
        ]

    def _wait_for(self, url: str, method: str) -> None:
        """Return once there is an answer, be it that keys are wanted."""
        give_up_at = time.monotonic() + _START_SECONDS
        while True:
            try:
                urllib.request.urlopen(
                    urllib.request.Request(url, method=method), timeout=5
                ).close()
            except urllib.error.HTTPError as answer:
                if answer.code == 403:
                    return
            except OSError:
                pass
            else:
                return
            if self.process.poll() is not None or time.monotonic() > give_up_at:
                raise RuntimeError(
                    "SeaweedFS did not start:\n" + (self._folder / "log").read_text()[-4000:]
                )
            time.sleep(0.05)


def _identity(name: str, keys: tuple[str, str], *actions: str) -> dict[str, object]:
    return {
        "name": name,
        "credentials": [{"accessKey": keys[0], "secretKey": keys[1]}],
        "actions": actions,
    }


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
