"""Secrets stay on the worker node; what only looks like one is kept."""

import base64
import hashlib
import io
import json
import os
import re
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from jobprov.provenance.capture.secrets.arguments import redact_arguments
from jobprov.provenance.capture.secrets.programs import secret_files
from jobprov.provenance.capture.secrets.texts import RULES, redact, redact_lines
from jobprov.provenance.capture.secrets.values import redact_strings
from jobprov.provenance.capture.secrets.variables import split_environment
from tests.app.access.test_unusual_secrets import TEXTS as UNUSUAL_TEXTS
from tests.library.git import git
from tests.library.hook import Runner
from tests.library.servers.hook_service import Service, problem

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJub3ZhcHJvIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEcanarycanary\n-----END RSA PRIVATE KEY-----"
# (rule, text that holds the secret, the secret): by value, wherever it stands
BY_VALUE = [
    ("jwt", f"x={JWT}", JWT),
    ("pem", PEM, "MIIEcanarycanary"),
    ("assignment", "declare -x STORE_AUTH=canary2word", "canary2word"),
    ("aws-key-id", "id AKIAIOSFODNN7CANARYS", "AKIAIOSFODNN7CANARYS"),
    (
        "service-token",
        "ghp_canary0123456789canary0123456789",
        "ghp_canary0123456789canary0123456789",
    ),
    ("service-token", "github_pat_11CANARY0123456789_abc", "github_pat_11CANARY0123456789_abc"),
    ("service-token", "glpat-canary0123456789abc", "glpat-canary0123456789abc"),
    ("service-token", "hvs.canary0123456789abcdef", "hvs.canary0123456789abcdef"),
    ("service-token", "xoxb-123456-canary-token", "xoxb-123456-canary-token"),
    ("url-password", "https://robot:canarypass@db.example.org/x", "canarypass"),
    ("url-password", "postgresql://:canarypass2@db/x", "canarypass2"),
    (
        "authorization",
        "curl -H 'Authorization: Bearer canarybearer0123456789'",
        "canarybearer0123456789",
    ),
    (
        "authorization",
        "Authorization: Basic Y2FuYXJ5OmNhbmFyeWNhbmFyeQ==",
        "Y2FuYXJ5OmNhbmFyeWNhbmFyeQ==",
    ),
    ("signed-query", "https://s3/x?X-Amz-Signature=canary0123456789&y=1", "canary0123456789"),
    ("signed-query", "root://h//f?authz=canaryauthz012345", "canaryauthz012345"),
    ("signed-query", "https://h/f?access_token=canaryaccess01", "canaryaccess01"),
    ("assignment", 'password: "canary word"', "canary word"),
    ("assignment", "export DB_PASSWORD=canary123", "canary123"),
    ("assignment", "aws_secret_access_key='canary/secret/key'", "canary/secret/key"),
    ("assignment", "client_secret=canary4secret", "canary4secret"),
    ("assignment", "password: canary5word", "canary5word"),
    ("assignment", "AccountKey=canary6Key==;EndpointSuffix=x", "canary6Key"),
    ("url-password", "http://robot:%21canarypercent@proxy:3128", "canarypercent"),
    (
        "authorization",
        "-HAuthorization: Basic Y2FuYXJ5OmNhbmFyeXNlY29uZA==",
        "Y2FuYXJ5OmNhbmFyeXNlY29uZA==",
    ),
    ("authorization", "curl -H 'X-Authentication-Token: canaryheader01'", "canaryheader01"),
    ("user-password", "curl -s -u robot:canarycurl https://h/x", "canarycurl"),
    ("service-token", "ya29.canary0123456789abcdef", "ya29.canary0123456789abcdef"),
    (
        "service-token",
        "AIzacanary0123456789canary0123456789abc",
        "AIzacanary0123456789canary0123456789abc",
    ),
    ("service-token", "sk_live_canary0123456789ab", "sk_live_canary0123456789ab"),
    (
        "service-token",
        "prov_canary_canary0123456789canary0123456789canary01",
        "prov_canary_canary0123456789canary0123456789canary01",
    ),
    (
        "service-token",
        "npm_canary0123456789canary0123456789",
        "npm_canary0123456789canary0123456789",
    ),
    (
        "service-token",
        "pypi-canary0123456789canary0123456789",
        "pypi-canary0123456789canary0123456789",
    ),
    (
        "service-token",
        "SG.canary0123456789.canary0123456789",
        "SG.canary0123456789.canary0123456789",
    ),
    ("service-token", "dckr_pat_canary0123456789ab", "dckr_pat_canary0123456789ab"),
    ("service-token", "hf_canary0123456789canary0123456789", "hf_canary0123456789canary0123456789"),
    (
        "service-token",
        "https://hooks.slack.com/services/T0CANARY/B0CANARY/canaryhook",
        "canaryhook",
    ),
]
BY_NAME = [
    "BEARER_TOKEN",
    "PGPASSWORD",
    "MYSQL_PWD",
    "VAULT_TOKEN",
    "DBPASS",
    "JUSTIN_JOBSCRIPT_SECRET",
    "AWS_SECRET_ACCESS_KEY",
    "GITHUB_PAT",
    "CONDOR_INHERIT",
    "CONDOR_PRIVATE_INHERIT",
    "_CONDOR_CREDS",
    "SSH_AUTH_SOCK",
    "MY_COOKIE",
    "SERVICE_CREDENTIALS",
    "OPENAI_API_KEY",
    "my_secret",
    "dbToken",
    "SESSION_ID",
    "HTTP_AUTHORIZATION",
    "KEYSTORE_PASSPHRASE",
    "GRID_TOKEN2",
    "PASSWORD1",
    "oldPasswordOfDb",
    "SECRETKEY",
    "accesskey_id",
    "SSHPASS",
    "CI_JOB_JWT",
    "API-KEY",
]
KEPT = {
    "IFDH_TOKEN_ENABLE": "1",
    "BEARER_TOKEN_FILE": "/run/bt_u1000",
    "X509_USER_PROXY": "/run/x509up_u1000",
    "KRB5CCNAME": "FILE:/tmp/krb5cc_1",
    "GIT_COMMIT": "d3b07384d113edec49eaa6238ad5ff00d3b07384",
    "PWD": "/home/x",
    "MONKEY": "see",
    "KEYBOARD": "us",
    "COMPASS_DIR": "/opt/compass",
    "TOKENIZER": "fast",
    "SETUP_PASSENGER": "passenger v1_0 -f Linux64 -z /products -q e26:prof",
    "PATH": "/usr/bin:/bin",
    "AUTHOR": "me",
    "COMPASS": "north",
    "NPASS": "two",
    "SORT_KEY": "event",
    "OAUTHLIKE": "no",
    "http_proxy": "http://squid.example.org:3128",
}


@pytest.mark.parametrize(("rule", "text", "secret"), BY_VALUE)
def test_secret_is_found_by_value(rule: str, text: str, secret: str) -> None:
    clean, rules = redact(text.encode())

    assert rules == [rule]
    assert secret.encode() not in clean
    assert b"<redacted:" + rule.encode() + b">" in clean


def test_variables_are_withheld_by_name_and_others_kept() -> None:
    environment = dict({name: f"canary-{name}" for name in BY_NAME}, **KEPT)

    kept, withheld = split_environment(environment)

    assert kept == KEPT
    assert withheld == sorted(BY_NAME)


def test_arguments_behind_secret_options_are_taken_out() -> None:
    argv = [
        "p",
        "--password",
        "canary",
        "--db-token=canary",
        "--token-file",
        "/data/t",
        "--passes",
        "3",
        "-n",
        "5",
    ]

    assert redact_arguments(argv) == [
        "p",
        "--password",
        "<redacted:option>",
        "--db-token=<redacted:option>",
        "--token-file",
        "/data/t",
        "--passes",
        "3",
        "-n",
        "5",
    ]


@pytest.mark.parametrize(
    ("argv", "clean"),
    [
        (
            ["curl", "-u", "me:canary", "-o", "a:b"],
            ["curl", "-u", "me:<redacted:user-password>", "-o", "a:b"],
        ),
        (
            ["/usr/bin/curl", "--user=me:canary"],
            ["/usr/bin/curl", "--user=me:<redacted:user-password>"],
        ),
        (["docker", "run", "-u", "1000:1000", "x"], ["docker", "run", "-u", "1000:1000", "x"]),
        (
            ["ldapsearch", "-D", "cn=x y", "-w", "canary1", "uid=a"],
            ["ldapsearch", "-D", "cn=x y", "-w", "<redacted:user-password>", "uid=a"],
        ),
        (
            ["smbclient", "-U", "me%canary", "-c", "ls"],
            ["smbclient", "-U", "me%<redacted:user-password>", "-c", "ls"],
        ),
        (
            ["\udcff", "redis-cli", "-acanary"],
            ["\udcff", "redis-cli", "-a<redacted:user-password>"],
        ),
        (["docker", "run", "-p", "8080:80", "login"], ["docker", "run", "-p", "8080:80", "login"]),
        (
            ["p", "--dbPassword", "canary", "--accessKey=canary"],
            ["p", "--dbPassword", "<redacted:option>", "--accessKey=<redacted:option>"],
        ),
    ],
)
def test_arguments_of_other_styles(argv: list[str], clean: list[str]) -> None:
    assert redact_arguments(argv) == clean


@pytest.mark.parametrize(
    "text",
    [
        "password = getpass.getpass()",
        "password=$PASSWORD",
        'password: "${DB_PASSWORD}"',
        "def login(user, password=None):",
        "password=self.password",
        "root://host:1094//store/a.root",
        "https://example.org:8443/a@b",
        "git@github.com:art-framework-suite/art.git",
        "bearer of bad news",
        "commit d3b07384d113edec49eaa6238ad5ff00d3b07384",
        "sha256:" + "ab" * 32,
        "secret: true",
        "-----BEGIN CERTIFICATE-----\nMIIB\n",
        "module_type: TokenPasser",
        "token=$(cat file)",
        "sig=3.5 sigma",
        "password: required, 8 characters",
        "access_token: 2026-11-26T10:00:00Z",
        "private_key: /etc/grid-security/host1key.pem",
        "postgres://user:%(password1)s@host/db",
        "postgres://user:%s@host/db",
        r"(http|ftp)://([^:]+:[^@]+@)(\S+)",
        "curl -u $USER:$PASSWORD https://h/x",
        "curl https://h/x -o a; chown -u robot:robots x",
        "find . -name mysql -print",
        "find /usr -name 'mysql*' -prune -o -print0",
        "PGPASSWORD=$DB_PASSWORD psql",
        "export BEARER_TOKEN=$(cat /run/bt)",
        "[ -s $F ] && export BEARER_TOKEN=`cat ${F}`; xrdcp $1 $2",  # as in ifdh.cfg
        'export DB_PASSWORD="`cat /run/pw`"',
        'setAuthToken = "env BEARER_TOKEN_FILE=$F BEARER_TOKEN=$(cat ${F}) "',  # as in WMCore
        'echo "$GRID_PASSWORD" | voms-proxy-init -pwstdin',
        "echo 'starting now'; kinit -k -t robot.keytab robot",
        "echo text | openssl dgst -sha256",
        "ldapsearch -x -W -b dc=example",
        "ldapsearch -x -w $SECRET -b dc=example",
        "ldapsearch -y /etc/ldap.secret",
        "openssl req -passin file:/etc/pass",
        "openssl rsa -passin env:KEYPASS",
        "docker login --password-stdin registry.example.org",
        "docker run -p 8080:8080 x",
        "htpasswd -c /etc/httpd/users robot",
        'htpasswd -b users "$USER" "$PASS"',
        "redis-cli -h cache ping",
        "smbclient //files/data -U robot -N",
        "aws configure set region eu-west-1",
        "aws configure set aws_secret_access_key $KEY",
        "rucio whoami",
        "art --token-file /run/bt -c reco.fcl",
        "--max-tokens 4096",
        "https://github.com/art-framework-suite/cetlib-except.git@v1_09_02_long_name_of_tag",
        "ssh://p-novaart@cdcvs.fnal.gov/cvs/projects/novaart",
        "TriggerPath: pass:123456 fail:12",
    ],
)
def test_what_only_looks_like_a_secret_is_kept(text: str) -> None:
    assert redact(text.encode()) == (text.encode(), [])


@pytest.mark.slow
def test_no_false_alarm_on_real_fcl() -> None:
    shared = Path(os.environ.get("JOBPROV_SHARED", Path(__file__).resolve().parents[5] / "shared"))
    files = [
        path for path in (shared / "fhicl").rglob("*") if path.is_file() and path.suffix == ".fcl"
    ]
    if not files:
        pytest.skip(f"NO REAL FCL: no .fcl below {shared}/fhicl; set JOBPROV_SHARED")

    alarms = [path for path in files if redact(path.read_bytes())[1]]

    assert alarms == []
    assert len(files) > 20


@pytest.mark.slow
def test_no_planted_secret_is_in_any_byte_spooled_or_sent(runner: Runner, service: Service) -> None:
    """Secrets of twenty kinds are in all places that a job can have them.

    The places are variables, arguments, script, fcl, logs, addresses, remote, dirty file and
    metadata.
    """
    top = runner.folder
    body = "\n".join(
        f"# {text.replace(chr(10), chr(10) + '# ') if 'BEGIN' not in text else text}"
        for _, text, _ in BY_VALUE
    )
    (top / "secrets.txt").write_text("\n".join(text for _, text, _ in BY_VALUE))
    (top / "job.sh").write_text(
        f"#!/bin/sh\ncat secrets.txt; cat secrets.txt >&2; exit 1\n{body}\n"
    )
    (top / "job.sh").chmod(0o755)
    (top / "gen.fcl").write_text(body + "\n")
    git(top, "init", "-q")
    git(top, "add", "gen.fcl")
    git(top, "commit", "-q", "-m", "x")
    git(top, "remote", "add", "origin", "https://u:canarypass@h.example.org/x.git")
    environment = {name: f"canaryname{index}" for index, name in enumerate(BY_NAME)}
    environment.update(
        {f"V{index}": text for index, (_, text, _) in enumerate(BY_VALUE)},
        JOBPROV_TOKEN="canarytoken",  # noqa: S106
    )
    words = [text for _, text, _ in BY_VALUE if "\n" not in text]

    command = ["./job.sh", "-c", "gen.fcl", "--password", "canaryoption", *words]
    signed = "https://s3.example.org/a.root?X-Amz-Signature=canary0123456789"
    options = ["--url", service.url, "--input", signed, "--metadata", f"x.y={JWT}"]

    runner("run", *options, "--", *command, environment=environment)
    runner("run", "--", *command, environment=environment)

    record = service.only_record()
    assert set(BY_NAME) <= set(record["environment"]["withheld"])
    (entry,) = runner.entries()
    archive = zipfile.ZipFile(io.BytesIO(entry.read_bytes()))
    pieces = [
        *service.blobs.values(),
        *service.records.values(),
        *(archive.read(name) for name in archive.namelist()),
    ]
    pieces += [inflate(piece) for piece in pieces if piece.startswith(b"PACK")]
    planted = [secret for _, _, secret in BY_VALUE] + [
        "canaryname",
        "canaryoption",
        "canarytoken",
        "canarypass",
    ]
    planted += [base64.b64encode(secret.encode()).decode() for secret in planted]
    planted += [hashlib.sha256(secret.encode()).hexdigest() for secret in planted]
    leaks = [
        (secret, piece[:60]) for piece in pieces for secret in planted if secret.encode() in piece
    ]
    assert leaks == []
    assert json.dumps(record).count("<redacted:") > 15


def inflate(pack: bytes) -> bytes:
    import zlib  # noqa: PLC0415

    found, rest = b"", pack[12:]
    for start in range(len(rest)):
        if rest[start : start + 1] == b"\x78":
            try:
                found += zlib.decompressobj().decompress(rest[start:])
            except zlib.error:
                continue
    return found


@pytest.mark.slow
def test_fields_that_the_service_names_are_taken_out_and_the_record_arrives(
    runner: Runner, service: Service
) -> None:
    """A newer service knows more rules than the hook: what it names goes, the rest arrives."""
    errors = {"command.argv[2]": ["secret-found: new-rule"]}
    command = ("run", "--url", service.url, "--", "sh", "-c", "echo a new kind of secret")
    runner(*command)
    service.records.clear()
    service.faults = [
        None,
        problem(422, "a secret", "secret-found", errors=errors),
    ]  # nothing is missing; then the record

    runner(*command)

    record = service.only_record()
    assert record["command"]["argv"] == ["sh", "-c", "<redacted:service>"]
    assert "command.argv[2]" in record["extra"]["hook_notes"][-1]
    assert runner.entries() == runner.entries("rejected") == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "beginning",
    [
        "password=",
        "password=a",
        "-eyJ",
        "-eyJabcdefgh",
        "curl ",
        "curl -u ",
        'password="',
        "://a:b",
        "://",
        "lftp ",
        "lftp -u a,",
        "oc login ",
        "oc login -p ",
        "ldapadd -w ",
        "htpasswd -b ",
        "htpasswd -b a ",
        "echo ",
        "echo a | ",
        "kinit ",
        "kinit < ",
        "smbget -U a",
        "-token",
        "--a-token ",
        "openssl -pass ",
        "a-proxy-init",
    ],
)
def test_rules_take_a_time_that_grows_with_the_length_of_a_text_alone(beginning: str) -> None:
    """What was quadratic took minutes for such a text, and held up everything else meanwhile."""
    content = beginning.encode() * (400_000 // len(beginning))

    began = time.process_time()
    redact(content)

    assert time.process_time() - began < 10


@pytest.mark.slow
@pytest.mark.parametrize(
    "beginning",
    [
        "-",
        "-a",
        "--a ",
        "-passwd",
        "--passwd-",
        "secret-",
        "-secret-fd ",
        "cat a | ",
        "cat ",
        "cat",
        "kinit ",
        "kinit < ",
        "gpg ",
        "docker a",
        "docker login ",
        "--password-fd ",
        "--password-file=",
        "-pass",
        "myproxy-",
    ],
)
def test_files_with_passwords_are_searched_in_a_time_that_grows_with_the_length_of_a_line_alone(
    beginning: str,
) -> None:
    line = beginning.encode() * (200_000 // len(beginning))

    began = time.process_time()
    secret_files(line)

    assert time.process_time() - began < 10


def test_secret_that_holds_the_beginning_of_another_is_taken_out_whole() -> None:
    content = b"password=my7secret=canary9 jwt=" + JWT.encode()

    assert redact(content)[0] == b"password=<redacted:assignment> jwt=<redacted:jwt>"


def test_listing_loses_secrets_line_by_line() -> None:
    lines = [
        b"deb\tcurl\t8.5",
        b"deb\tpasswd\t1:4.17",
        b"made by https://me:hunter22@host/x",
        b"end",
    ]

    clean, rules = redact_lines(b"\n".join(lines))

    lines[2] = b"made by https://<redacted:url-password>@host/x"
    assert (clean, rules) == (b"\n".join(lines), ["url-password"])


def test_strings_of_a_list_are_judged_together_and_cleaned_one_by_one() -> None:
    harmless = ["/cvmfs/larsoft/fcl", "/cvmfs/sbnd/fcl", "\udcff.fcl"]

    assert redact_strings(harmless) == harmless
    assert redact_strings([*harmless, "https://me:hunter22@host/x", 7]) == [
        *harmless,
        "https://<redacted:url-password>@host/x",
        7,
    ]


def test_signs_of_a_rule_stand_in_each_text_that_it_hits() -> None:
    """A text without its signs is not searched, so a sign that is missing hides the rule."""
    untried = set(RULES)
    for text in [*(text for _, text, _ in BY_VALUE), *UNUSUAL_TEXTS]:
        content = text.encode()
        for rule in RULES:
            if rule.pattern().search(content):
                untried.discard(rule)
                assert any(sign in content.lower() for sign in rule.signs), (rule.name, text)

    assert [rule.signs for rule in untried] == []


def test_rules_for_which_case_does_not_matter_are_written_in_lower_case() -> None:
    """They are tried on the text in lower case first, where a capital would match nothing."""
    for rule in RULES:
        literal = re.sub(rb"\\.|\[(?:\\.|[^\]])*\]|\?P<", b"", rule._pattern)
        assert not rule.is_any_case or literal == literal.lower(), rule._pattern


@pytest.mark.parametrize("change", [bytes.lower, bytes.upper, bytes.title])
def test_secret_is_found_in_any_case(change: Callable[[bytes], bytes]) -> None:
    text = change(b"x" * 3000 + b"\npassword = 'Swordfish7'\nX-Amz-Signature: ?sig=a7b8c9d0e1\n")

    assert redact(text)[1] == ["assignment", "signed-query"]


def test_variable_that_holds_the_secret_of_another_is_withheld() -> None:
    """JustIN puts the secret of a job at the end of an address, too."""
    drawn = "0123456789abcdef0123"
    environment = {
        "JUSTIN_JOBSCRIPT_SECRET": drawn,
        "JUSTIN_SAM_WEB_URI": f"https://justin.example.org/api/samweb/1.0@sched/{drawn}",
        "JUSTIN_SITE_NAME": "US_FNAL",
        "_CONDOR_CREDS": "/srv/.condor_creds",
        "TABLES": "/srv/.condor_creds/tables",
    }

    kept, withheld = split_environment(environment)

    assert sorted(kept) == ["JUSTIN_SITE_NAME", "TABLES"]
    assert withheld == ["JUSTIN_JOBSCRIPT_SECRET", "JUSTIN_SAM_WEB_URI", "_CONDOR_CREDS"]
