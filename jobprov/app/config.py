"""Every setting of the service in one table: name, default, help.

The documentation is tested against it.

A value comes from the mapping given to `load_settings` or, if it is not there, from the environment
or the default in the table. `$JOBPROV_DATA` in a default stands for the data folder.
"""

import os
import re
import secrets
import shlex
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from jobprov.provenance.errors import BadInputError


class Setting(NamedTuple):
    """One row of the table."""

    name: str
    default: str
    help: str


SETTINGS = (
    Setting("JOBPROV_DATA", "./var", "Folder of everything that the service keeps."),
    Setting(
        "JOBPROV_DATABASE_URL",
        "sqlite:///$JOBPROV_DATA/jobprov.db",
        "The database, or postgresql+psycopg://…",
    ),
    Setting(
        "JOBPROV_DATABASE_READ_URL",
        "",
        "A hot standby of that PostgreSQL, from which pages and calls are read that may be a few "
        "seconds behind (docs/how-to/use-postgresql-and-s3.md).",
    ),
    Setting(
        "JOBPROV_DATABASE_READ_LAG",
        "5",
        "Seconds that what is read from the standby may be behind; while it is further behind, all "
        "is read from the primary.",
    ),
    Setting(
        "JOBPROV_ARCHIVE_URL",
        "file:$JOBPROV_DATA/archive",
        "The archive, or s3://bucket/prefix (keys as AWS tools take them).",
    ),
    Setting(
        "JOBPROV_GIT_MIRRORS", "$JOBPROV_DATA/git", "Folder of bare mirrors with pinned commits."
    ),
    Setting(
        "JOBPROV_TRUSTED_GIT_HOSTS",
        "",
        "Git hosts that may have private addresses, separated by commas.",
    ),
    Setting(
        "JOBPROV_SECRET_KEY",
        "",
        "Key of sessions; made at first start and kept, mode 0600, in $JOBPROV_DATA/secret-key.",
    ),
    Setting("JOBPROV_HOST", "127.0.0.1", "Address that `jobprov serve` listens on."),
    Setting("JOBPROV_PORT", "8095", "Port that `jobprov serve` listens on; 0 takes a free one."),
    Setting(
        "JOBPROV_WORKERS", "1", "Worker processes of `jobprov serve`; more than 1 needs PostgreSQL."
    ),
    Setting("JOBPROV_THREADS", "16", "Threads a worker process."),
    Setting(
        "JOBPROV_READING",
        "open",
        "Who may read: `open` to all, or `token` for those who hold a write token or have a role.",
    ),
    Setting(
        "JOBPROV_PRIVATE_EXPERIMENTS",
        "",
        "Experiments, separated by commas, that those alone see who have a role in them or a token "
        "of them (docs/how-to/keep-an-experiment-private.md).",
    ),
    Setting(
        "JOBPROV_TOKEN_ISSUERS",
        "",
        "TOML file that names the issuers of each experiment's SciTokens or WLCG tokens "
        "(docs/how-to/take-issued-tokens.md).",
    ),
    Setting(
        "JOBPROV_LOGIN",
        "",
        "TOML file that says who may log in on the pages, and what they may do then "
        "(docs/how-to/log-in-by-the-web.md).",
    ),
    Setting(
        "JOBPROV_ALERTS",
        "",
        "TOML file that says what is watched in each experiment, and whom it is told "
        "(docs/how-to/be-told.md).",
    ),
    Setting(
        "JOBPROV_BACKUP_DAYS",
        "7",
        "How many days old the last `jobprov backup` may be before it needs attention; 0: backups "
        "are not watched (docs/how-to/look-after-the-archive.md).",
    ),
    Setting("JOBPROV_BLOB_LIMIT_BYTES", "67108864", "Largest blob that is taken, in bytes."),
    Setting(
        "JOBPROV_BLOB_QUOTA_GB",
        "1000",
        "New blobs that an experiment may send to a worker process within a day, in GB; 0: any.",
    ),
    Setting(
        "JOBPROV_REQUESTS_A_MINUTE",
        "1200",
        "Requests that a caller who may not write can send to a worker process within a minute; 0: "
        "any (docs/how-to/run-a-service.md).",
    ),
    Setting(
        "JOBPROV_PHYSICS_VARIABLES",
        "GENIE_XSEC_TUNE",
        "Environment variables that decide physics, which jobs are found by: names for all "
        "experiments, `experiment:NAME` for one, separated by commas. Jobs that were recorded "
        "before a change are found by it after `jobprov rebuild-database`.",
    ),
    Setting(
        "JOBPROV_TRACE_FIRST",
        "on",
        "Whether hooks trace the first job of each kind: `on` or `off`.",
    ),
    Setting(
        "JOBPROV_PUBLIC_URL",
        "",
        "Address that answers name the service by; empty takes it from the request.",
    ),
    Setting(
        "JOBPROV_TRUSTED_PROXIES",
        "0",
        "How many reverse proxies in front may say who the client is.",
    ),
    Setting(
        "JOBPROV_CATALOGS",
        "",
        "TOML file that names the file catalog of each experiment (docs/how-to/use-a-catalog.md).",
    ),
    Setting(
        "JOBPROV_URL",
        "http://127.0.0.1:8095",
        "Service that the talking commands and the hook ask.",
    ),
    Setting(
        "JOBPROV_SMTP_URL",
        "smtp://127.0.0.1",
        "Mail server: smtp://, smtp+starttls:// or smtps://, with user:password@ where needed.",
    ),
    Setting("JOBPROV_MAIL_FROM", "jobprov@localhost", "Sender of mails."),
    Setting(
        "JOBPROV_FETCH_COMMAND",
        "",
        "How retries fetch what cp, http and xrdcp cannot: such as `ifdh cp {url} {file}`.",
    ),
    Setting(
        "JOBPROV_STORE_COMMAND",
        "",
        "How retries store what cp and xrdcp cannot: such as `ifdh cp {file} {url}`.",
    ),
    Setting(
        "JOBPROV_PROOF_BUDGETS",
        "",
        "TOML file with what `jobprov prove` may take (docs/how-to/rerun-and-compare.md).",
    ),
    Setting("JOBPROV_TOKEN", "", "Write token that the talking commands and the hook send."),
    Setting(
        "JOBPROV_TOKEN_FILE",
        "",
        "File with the token instead, read again for each call, as of a token that is renewed.",
    ),
)
READING, SWITCH = ("open", "token"), ("on", "off")
_EXPERIMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""As records name theirs."""


@dataclass(frozen=True)
class Settings:
    """The settings of one process, read and checked. Paths are absolute, sizes in bytes."""

    data: Path
    database_url: str
    database_read_url: str
    database_read_lag: int
    archive_url: str
    git_mirrors: Path
    trusted_git_hosts: frozenset[str]
    secret_key: str
    host: str
    port: int
    workers: int
    threads: int
    reading: str
    private_experiments: frozenset[str]
    token_issuers: Path | None
    login: Path | None
    alerts: Path | None
    backup_days: int
    blob_limit_bytes: int
    blob_quota_gb: int
    requests_a_minute: int
    physics_variables: str
    trace_first: bool
    public_url: str
    trusted_proxies: int
    catalogs: Path | None
    url: str
    smtp_url: str
    mail_from: str
    fetch_command: str
    store_command: str
    proof_budgets: Path | None
    token: str
    token_file: Path | None

    def session_key(self) -> str:
        """Return the key of sessions, making and keeping one where none is set."""
        return self.secret_key or _kept_key(self.data / "secret-key")


def load_settings(
    given: Mapping[str, str] | None = None, environment: Mapping[str, str] | None = None
) -> Settings:
    """Return the settings: `given` before the environment before the defaults.

    Raises:
        BadInputError: a value cannot be used; `fields` names the setting.
    """
    if environment is None:
        environment = os.environ
    texts = _texts(given or {}, environment)
    if texts["JOBPROV_READING"] not in READING:
        raise BadInputError(
            f"JOBPROV_READING is {texts['JOBPROV_READING']!r}; say open or token.",
            {"JOBPROV_READING": ["open or token"]},
        )
    if texts["JOBPROV_TRACE_FIRST"] not in SWITCH:
        raise BadInputError(
            f"JOBPROV_TRACE_FIRST is {texts['JOBPROV_TRACE_FIRST']!r}; say on or off.",
            {"JOBPROV_TRACE_FIRST": ["on or off"]},
        )
    return Settings(
        data=_path(texts["JOBPROV_DATA"]),
        database_url=texts["JOBPROV_DATABASE_URL"],
        database_read_url=texts["JOBPROV_DATABASE_READ_URL"],
        database_read_lag=_number(texts, "JOBPROV_DATABASE_READ_LAG", 1, 3600),
        archive_url=texts["JOBPROV_ARCHIVE_URL"],
        git_mirrors=_path(texts["JOBPROV_GIT_MIRRORS"]),
        trusted_git_hosts=_hosts(texts["JOBPROV_TRUSTED_GIT_HOSTS"]),
        secret_key=texts["JOBPROV_SECRET_KEY"],
        host=texts["JOBPROV_HOST"],
        port=_number(texts, "JOBPROV_PORT", 0, 65535),
        workers=_number(texts, "JOBPROV_WORKERS", 1, 64),
        threads=_number(texts, "JOBPROV_THREADS", 1, 256),
        reading=texts["JOBPROV_READING"],
        private_experiments=_experiments(texts["JOBPROV_PRIVATE_EXPERIMENTS"]),
        token_issuers=_optional_path(texts["JOBPROV_TOKEN_ISSUERS"]),
        login=_optional_path(texts["JOBPROV_LOGIN"]),
        alerts=_optional_path(texts["JOBPROV_ALERTS"]),
        backup_days=_number(texts, "JOBPROV_BACKUP_DAYS", 0, 36_500),
        blob_limit_bytes=_number(texts, "JOBPROV_BLOB_LIMIT_BYTES", 1, 2**40),
        blob_quota_gb=_number(texts, "JOBPROV_BLOB_QUOTA_GB", 0, 10**9),
        requests_a_minute=_number(texts, "JOBPROV_REQUESTS_A_MINUTE", 0, 10**9),
        physics_variables=texts["JOBPROV_PHYSICS_VARIABLES"],
        trace_first=texts["JOBPROV_TRACE_FIRST"] == "on",
        public_url=texts["JOBPROV_PUBLIC_URL"].rstrip("/"),
        trusted_proxies=_number(texts, "JOBPROV_TRUSTED_PROXIES", 0, 8),
        catalogs=_optional_path(texts["JOBPROV_CATALOGS"]),
        url=texts["JOBPROV_URL"].rstrip("/"),
        smtp_url=texts["JOBPROV_SMTP_URL"],
        mail_from=texts["JOBPROV_MAIL_FROM"],
        fetch_command=_file_command(texts, "JOBPROV_FETCH_COMMAND"),
        store_command=_file_command(texts, "JOBPROV_STORE_COMMAND"),
        proof_budgets=_optional_path(texts["JOBPROV_PROOF_BUDGETS"]),
        token=texts["JOBPROV_TOKEN"],
        token_file=_optional_path(texts["JOBPROV_TOKEN_FILE"]),
    )


def _texts(given: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the text of every setting: an empty one counts as not set.

    Raises:
        BadInputError: `given` names something that is not a setting.
    """
    names = {setting.name for setting in SETTINGS}
    unknown = sorted(set(given) - names)
    if unknown:
        raise BadInputError(f"There is no setting {unknown[0]}.", {unknown[0]: ["not a setting"]})
    variables = {name: environment[name] for name in names if environment.get(name)}
    variables.update(given)
    data = _path(variables.get("JOBPROV_DATA") or "./var")
    texts = {}
    for setting in SETTINGS:
        default = setting.default.replace("$JOBPROV_DATA", str(data))
        texts[setting.name] = variables.get(setting.name) or default
    return texts


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _hosts(text: str) -> frozenset[str]:
    return frozenset(host.strip().lower() for host in text.split(",") if host.strip())


def _experiments(text: str) -> frozenset[str]:
    """Return the names in a list.

    Raises:
        BadInputError: one cannot be the name of an experiment, so that it would hide nothing.
    """
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    for name in sorted(names):
        if not _EXPERIMENT.fullmatch(name):
            raise BadInputError(
                f"JOBPROV_PRIVATE_EXPERIMENTS: {name!r} cannot be the name of an experiment: up to 64 "
                "letters, digits, - and _, which begin with a letter or digit. Separate names by "
                "commas.",
                {"JOBPROV_PRIVATE_EXPERIMENTS": ["names separated by commas"]},
            )
    return names


def _optional_path(text: str) -> Path | None:
    return _path(text) if text else None


def _file_command(texts: Mapping[str, str], name: str) -> str:
    """Return a command that names the file here and the address there, or none."""
    text = texts[name]
    try:
        words = shlex.split(text)
    except ValueError as problem:
        raise BadInputError(f"{name} is {text!r}: {problem}.", {name: [str(problem)]}) from None
    marked = " ".join(words)
    if words and not ("{url}" in marked and "{file}" in marked):
        raise BadInputError(
            f"{name} is {text!r}; it has to hold {{url}} and {{file}}.",
            {name: ["a command with {url} and {file}"]},
        )
    return text


def _number(texts: Mapping[str, str], name: str, least: int, most: int) -> int:
    text = texts[name]
    if not (
        text.isascii()
        and text.isdigit()
        and len(text) < 20  # noqa: PLR2004 - 64 bits
        and least <= int(text) <= most
    ):
        raise BadInputError(
            f"{name} is {text!r}; give a number from {least} to {most}.",
            {name: [f"a number from {least} to {most}"]},
        )
    return int(text)


def _kept_key(file: Path) -> str:
    """Return the key in `file`, made by whichever process is first.

    It gets its name only when it is whole, so that no other process reads a part of it.
    """
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(dir=file.parent, prefix=".secret-key-")  # mode 0600
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as stream:
                stream.write(secrets.token_urlsafe(48))
            with suppress(FileExistsError):
                os.link(draft, file)
        finally:
            Path(draft).unlink()
    return file.read_text(encoding="ascii").strip()
