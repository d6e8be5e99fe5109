"""nginx in front of services, with the configuration that operators are given: `deploy/nginx`."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
SAMPLES = Path(__file__).parents[3] / "deploy" / "nginx"
_START_SECONDS = 20
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


class Nginx:
    """A running nginx before services; only addresses, ports and names are changed in its files.

    Args:
        targets: addresses of the services.
        folder: for its files.
        limit: of bodies, in place of the one that the file has.

    Attributes:
        url: where it listens, by TLS.
        plain_url: where it listens without.
        certificate: file of its certificate, which signs itself.
    """

    def __init__(self, targets: Sequence[str], folder: Path, limit: str | None = None) -> None:
        self._folder = folder
        (folder / "jobprov").mkdir(parents=True)
        self.certificate = folder / "jobprov" / "tls.crt"
        _make_certificate(self.certificate)
        self._put_services(targets)
        self._put_proxy(limit)
        plain_port, port = _free_ports(2)
        self._put_site(plain_port, port)
        self.plain_url, self.url = f"http://127.0.0.1:{plain_port}", f"https://127.0.0.1:{port}"
        self._start(port)

    def refused(self) -> int:
        """Return how many requests it answered 413 by itself."""
        return (self._folder / "access.log").read_text().count('" 413 ')

    def close(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait(20)

    def _put_services(self, targets: Sequence[str]) -> None:
        servers = "".join(f"    server {target.removeprefix('http://')};\n" for target in targets)
        text = (SAMPLES / "services.conf").read_text(encoding="utf-8")
        text, count = re.subn(r"    server .*\n", servers, text)
        assert count == 2
        (self._folder / "jobprov" / "services.conf").write_text(text, encoding="utf-8")

    def _put_proxy(self, limit: str | None) -> None:
        text = (SAMPLES / "proxy.conf").read_text(encoding="utf-8")
        if limit is not None:
            text, count = re.subn(
                r"client_max_body_size \w+;", f"client_max_body_size {limit};", text
            )
            assert count == 1
        (self._folder / "jobprov" / "proxy.conf").write_text(text, encoding="utf-8")

    def _put_site(self, plain_port: int, port: int) -> None:
        text = (SAMPLES / "jobprov.conf").read_text(encoding="utf-8")
        text = text.replace("listen 80;", f"listen 127.0.0.1:{plain_port};")
        text = text.replace("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;")
        (self._folder / "site.conf").write_text(text, encoding="utf-8")
        places = " ".join(f"{kind}_temp_path {self._folder}/{kind};" for kind in _TEMPORARY)
        (self._folder / "nginx.conf").write_text(
            f"daemon off; master_process off; pid {self._folder}/pid;\n"
            f"events {{}}\nhttp {{ access_log {self._folder}/access.log; {places}\n"
            "include site.conf; }\n"
        )

    def _start(self, port: int) -> None:
        assert NGINX is not None
        errors = self._folder / "error.log"
        words = [NGINX, "-p", str(self._folder), "-e", str(errors), "-c", "nginx.conf"]
        self._process = subprocess.Popen(words)
        give_up_at = time.monotonic() + _START_SECONDS
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            said = errors.read_text() if errors.exists() else ""
            assert time.monotonic() < give_up_at, f"nginx does not listen: {said}"
            assert self._process.poll() is None, f"nginx ended: {said}"
            time.sleep(0.05)


def _make_certificate(certificate: Path) -> None:
    """Put a certificate for loopback there, and its key beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    certificate.with_suffix(".key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
