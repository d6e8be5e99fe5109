"""Ninety planted secrets of thirty kinds, from the job to the bundle.

None is in any byte that was kept or sent.
"""

import base64
import contextlib
import hashlib
import io
import random
import string
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import zstandard

from jobprov.provenance.capture.secrets.texts import redact
from jobprov.provenance.capture.secrets.variables import split_environment
from jobprov.provenance.client import Client
from tests.library.git import git
from tests.library.hook import Runner, ups_dump
from tests.library.servers.live_service import LiveService

CHANCE = random.Random(20)  # noqa: S311 - planted to be found
LETTERS, UPPER = string.ascii_letters + string.digits, string.ascii_uppercase + string.digits
EACH = 3


def some(count: int, letters: str = LETTERS) -> str:
    return "".join(CHANCE.choice(letters) for _ in range(count - 1)) + "7"


def written(form: str, secret: str) -> tuple[str, str]:
    return form.replace("@@", secret), secret


KINDS: dict[str, Callable[[], tuple[str, str]]] = {
    "jwt": lambda: written("@@", f"eyJ{some(20)}.{some(30)}.{some(40)}"),
    "rsa key": lambda: written(
        "-----BEGIN RSA PRIVATE KEY-----\n@@\n-----END RSA PRIVATE KEY-----", some(60)
    ),
    "openssh key": lambda: written(
        "-----BEGIN OPENSSH PRIVATE KEY-----\n@@\n-----END OPENSSH PRIVATE KEY-----", some(60)
    ),
    "aws id": lambda: written("@@", "AKIA" + some(16, UPPER)),
    "aws secret": lambda: written("aws_secret_access_key=@@", some(40)),
    "github": lambda: written("@@", "ghp_" + some(36)),
    "github fine": lambda: written("@@", "github_pat_" + some(40)),
    "gitlab": lambda: written("@@", "glpat-" + some(20)),
    "vault": lambda: written("@@", "hvs." + some(24)),
    "slack": lambda: written("@@", "xoxb-" + some(30)),
    "google": lambda: written("@@", "AIza" + some(35)),
    "npm": lambda: written("@@", "npm_" + some(36)),
    "pypi": lambda: written("@@", "pypi-" + some(60)),
    "stripe": lambda: written("@@", "sk_live_" + some(24)),
    "hugging face": lambda: written("@@", "hf_" + some(34)),
    "our token": lambda: written("@@", "prov_12_" + some(43)),
    "url": lambda: written("https://robot:@@@git.example.org/x.git", some(16)),
    "bearer": lambda: written("Authorization: Bearer @@", some(40)),
    "signed url": lambda: written(
        "https://s3.example.org/x?X-Amz-Signature=@@&y=1", some(64, "0123456789abcdef")
    ),
    "password": lambda: written("password='@@'", some(14)),
    "openssl": lambda: written("openssl rsa -passin pass:@@ -in k.pem", some(14)),
    "ldapsearch": lambda: written("ldapsearch -x -w @@ uid=ada", some(14)),
    "htpasswd": lambda: written("htpasswd -b users ada @@", some(14)),
    "redis": lambda: written("redis-cli -a @@ ping", some(14)),
    "smbclient": lambda: written("smbclient //files/data -U ada%@@", some(14)),
    "docker": lambda: written("docker login -u ada -p @@ registry.example.org", some(14)),
    "rucio": lambda: written("rucio -a ada -pwd @@ whoami", some(14)),
    "aws": lambda: written("aws configure set aws_secret_access_key @@", some(40)),
    "PostgreSQL": lambda: written("PGPASSWORD=@@ psql -h db", some(14)),
    "piped": lambda: written("echo @@ | kinit ada", some(14)),
}
PLANTED = [(kind, *make()) for kind, make in KINDS.items() for _ in range(EACH)]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    service = LiveService(tmp_path_factory.mktemp("canaries") / "var")
    yield service
    service.stop()


def plant(folder: Path) -> dict[str, str]:
    """Write the secrets into script, fcl, remote, working tree and log.

    Return the variables that hold them too.
    """
    texts = [text for _, text, _ in PLANTED]
    (folder / "secrets.txt").write_text("\n".join(texts) + "\n")
    (folder / "job.sh").write_text(
        "#!/bin/sh\ncat secrets.txt\ncat secrets.txt >&2\necho > out.txt\nexit 1\n# "
        + "\n# ".join(texts)
    )
    (folder / "job.sh").chmod(0o755)
    (folder / "gen.fcl").write_text("# " + "\n# ".join(texts) + "\n")
    git(folder, "init", "-q")
    git(folder, "add", "gen.fcl")
    git(folder, "commit", "-q", "-m", "x")
    address = next(text for kind, text, _ in PLANTED if kind == "url")
    git(folder, "remote", "add", "origin", address)
    return {f"V{place}": text for place, text in enumerate(texts)}


@pytest.mark.slow
def test_no_planted_secret_is_in_any_byte_from_spool_to_bundle(
    runner: Runner, live: LiveService, tmp_path: Path
) -> None:
    variables = plant(runner.folder)
    words = [text for _, text, _ in PLANTED if "\n" not in text]

    runner("run", "--", "./job.sh", "-c", "gen.fcl", *words, environment=variables)
    spooled = [path.read_bytes() for path in runner.entries()] + [
        inside for path in runner.entries() for inside in unzip(path)
    ]
    flushed = runner("flush", str(runner.spool), "--url", live.url)

    client = Client(live.url)
    [job] = client.jobs()
    client.save_bundle(job.job_id, tmp_path / "bundle.tar")
    with tarfile.open(tmp_path / "bundle.tar") as bundle:
        bundled = [bundle.extractfile(member).read() for member in bundle if member.isfile()]
    kept = [path.read_bytes() for path in live.data.rglob("*") if path.is_file()]
    pages = [msgspec.json.encode(client.job(job.job_id))]
    pages += [client.log(job.job_id, name).encode() for name in ("stdout", "stderr")]

    assert (flushed.returncode, len(PLANTED), len(KINDS)) == (0, 90, 30)
    assert len(kept) > 1
    pieces = (
        spooled
        + kept
        + [inside for content in kept for inside in frames(content)]
        + bundled
        + pages
    )
    pieces += [inside for content in bundled for inside in frames(content)]
    planted = [(kind, form) for kind, _, secret in PLANTED for form in forms(secret)]
    leaks = [(kind, piece[:40]) for piece in pieces for kind, form in planted if form in piece]
    assert leaks == []
    assert b"<redacted:" in pages[1]


def forms(secret: str) -> list[bytes]:
    """Return what a secret looks like in bytes: itself, in base64, and its digest in both forms."""
    raw = secret.encode()
    return [
        raw,
        base64.b64encode(raw),
        hashlib.sha256(raw).hexdigest().encode(),
        hashlib.sha256(raw).digest(),
    ]


def frames(content: bytes) -> list[bytes]:
    """Return what zstd frames in some bytes hold."""
    found, at = [], content.find(zstandard.FRAME_HEADER)
    while at >= 0:
        with contextlib.suppress(zstandard.ZstdError):
            found.append(zstandard.ZstdDecompressor().decompressobj().decompress(content[at:]))
        at = content.find(zstandard.FRAME_HEADER, at + 4)
    return found


def unzip(path: Path) -> list[bytes]:
    import zipfile  # noqa: PLC0415

    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        return [archive.read(name) for name in archive.namelist()]


def test_set_up_of_a_hundred_ups_products_is_kept_whole() -> None:
    dump = ups_dump()

    assert len(dump) == 602
    assert split_environment(dump) == (dump, [])


def test_product_of_any_name_hides_no_secret() -> None:
    setup = "token_tools v1_2 -f NULL -z /products"
    environment = {
        "SETUP_TOKEN_TOOLS": setup,
        "TOKEN_TOOLS_VERSION": "v1_2",
        "TOKEN_TOOLS_PASSWORD": "canary",
        "TOKEN": "canary",
    }

    assert split_environment(environment)[1] == ["TOKEN", "TOKEN_TOOLS_PASSWORD"]


def test_strict_mode_keeps_what_is_named_and_nothing_secret() -> None:
    environment = {
        "SETUP_ART": "art v1",
        "ART_DIR": "/x",
        "API_TOKEN": "canary0123456789",
        "HOME": "/home/x",
        "art_dir": "y",
    }

    kept, withheld = split_environment(environment, ["SETUP_*", "*_DIR", "API_*"])

    assert kept == {"SETUP_ART": "art v1", "ART_DIR": "/x"}
    assert withheld == ["API_TOKEN", "HOME", "art_dir"]


@pytest.mark.slow
def test_strict_mode_is_an_option_of_the_hook(runner: Runner) -> None:
    from tests.library.hook import only_entry  # noqa: PLC0415

    runner("run", "--keep-variable", "LANG", "--", "true", environment={"PLAIN": "x"})

    record, _ = only_entry(runner)
    assert record["environment"]["variables"] == {"LANG": "C.UTF-8"}
    assert "PLAIN" in record["environment"]["withheld"]


def test_no_false_alarm_on_commits_digests_and_ids() -> None:
    chance = random.Random(7)  # noqa: S311
    texts = [chance.randbytes(size).hex() for size in (16, 20, 32, 64) for _ in range(500)]
    texts += [base64.b64encode(chance.randbytes(32)).decode() for _ in range(500)]
    texts += [f"adler32:{chance.randbytes(4).hex()}" for _ in range(100)]

    assert [text for text in texts if redact(text.encode())[1]] == []
