"""Unusual forms of secrets, over every way in: none of them is stored."""

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from jobprov.app.wiring import Service
from jobprov.provenance.capture.secrets.texts import redact
from jobprov.provenance.services.code.repositories import (
    register_repository,
    registered_repositories,
    repository_json,
)
from tests.library.databases import on_sqlite_alone
from tests.library.records import JOB, a_record, sha256

CANARY = "hunter2Canary7"
TEXTS = [
    f"machine git.example.org login ada password {CANARY}",
    f"default login ada\npassword {CANARY}\n",
    f"db.example.org:5432:mu2e:ada:{CANARY}",
    f"*:*:*:ada:{CANARY}",
    f"Cookie: sessionid={CANARY}; path=/",
    f"Set-Cookie: s={CANARY}",
    f"mysql -h db -u ada -p{CANARY} conditions",
    f"/usr/bin/mysqldump -p{CANARY} conditions",
    f"sshpass -p{CANARY} ssh ada@node",
    f"sshpass -p {CANARY} ssh ada@node",
    f"sqlplus ada/{CANARY}@prod",
    f"connect=ada/{CANARY}@oracle",
    f"ada/{CANARY}@db.example.org:1521/conditions",
    f'{{"token": "{CANARY}"}}',
    f"{{'api_token': '{CANARY}'}}",
    f'{{"DB_PW": "{CANARY}"}}',
    f"art --password {CANARY} -c reco.fcl",
    f'docker login --user ada --password "{CANARY}" registry.example.org',
    f"curl -H 'X-Rucio-Auth-Token: {CANARY}' https://rucio.example.org",
    f"export BEARER_TOKEN={CANARY}",
    f"openssl pkcs12 -in cert.p12 -passin pass:{CANARY} -nodes",
    f"openssl rsa -in key.pem -passout 'pass:{CANARY}'",
    f"ldapsearch -x -D cn=robot -w {CANARY} -b dc=example uid=ada",
    f"ldapmodify -H ldap://ldap.example.org \\\n  -w{CANARY} -f change.ldif",
    f"htpasswd -b /etc/httpd/users ada {CANARY}",
    f"htpasswd -c -Bb users ada {CANARY}",
    f"htpasswd -nb ada {CANARY}",
    f"redis-cli -h cache -a {CANARY} ping",
    f"redis-cli --pass {CANARY} ping",
    f"mariadb -u ada -p{CANARY} conditions",
    f"smbclient //files/data -U 'ada%{CANARY}' -c ls",
    f"rpcclient -U ada%{CANARY} files",
    f"gpg --batch --passphrase {CANARY} -d x.gpg",
    f"aws configure set aws_secret_access_key {CANARY}",
    f"aws configure set profile.nova.aws_session_token {CANARY}",
    f"PGPASSWORD={CANARY} psql -h db",
    f"docker login -u ada -p {CANARY} registry.example.org",
    f"helm registry login -u ada -p {CANARY} registry.example.org",
    f"oc login --token={CANARY} https://api.example.org",
    f"rucio -a ada -pwd {CANARY} whoami",
    f"rucio --auth-token {CANARY} whoami",
    f"lftp -u ada,{CANARY} ftp.example.org",
    f"keytool -list -storepass {CANARY} -keystore k",
    f"davix-ls --s3secretkey {CANARY} s3://bucket/",
    f"davix-get --userlogin ada --userpass {CANARY} https://x.example.org/f",
    f"curl --oauth2-bearer {CANARY} https://x.example.org",
    f"xrdcp 'root://x.example.org//f?authz=Bearer%20{CANARY}' .",
    f"wget --header='Authorization: Bearer {CANARY}{CANARY}' https://x.example.org",
    f"git clone https://ada:{CANARY}@git.example.org/x.git",
    f"git clone https://{CANARY}{CANARY}@git.example.org/x.git",
    f"echo {CANARY} | kinit ada@EXAMPLE.ORG",
    f"echo -n '{CANARY}' | voms-proxy-init -pwstdin -voms dune",
    f"printf '%s\\n' \"{CANARY}\" | /usr/bin/myproxy-logon -S",
    f"echo {CANARY} | docker login -u ada --password-stdin",
    f"echo ada:{CANARY} | sudo chpasswd",
    f"kinit ada <<< {CANARY}",
    f"mc alias set store https://s3.example.org ROBOT {CANARY}",
    f"unzip -P {CANARY} data.zip",
    f"zip -r -P {CANARY} out.zip plots",
    f"7za x -p{CANARY} data.7z",
    f"openssl enc -aes-256-cbc -k {CANARY} -in f",
    f"vault login {CANARY}",
    f"mongosh -u ada -p {CANARY} conditions",
    f"sqlplus -S ada/{CANARY}",
    f"skopeo copy --src-creds ada:{CANARY} docker://a docker://b",
    f"kubectl create secret generic db --from-literal=pw={CANARY}",
    f"oras login -u ada -p {CANARY} registry.example.org",
    f"echo {CANARY} | ansible-vault encrypt f",
    f"az login --service-principal -u app -p {CANARY} --tenant t",
    f"ssh-keygen -t ed25519 -N '{CANARY}' -f key",
    f"ncftpput -u ada -p {CANARY} ftp.example.org /in f.root",
    f"cqlsh db.example.org -u ada -p {CANARY}",
    f"beeline -u jdbc:hive2://db:10000 -n ada -p {CANARY}",
    f"sqlcmd -S db -U ada -P {CANARY} -Q 'select 1'",
    f"etcdctl --user=root:{CANARY} get key",
    f"ipmitool -H node -U ada -P {CANARY} power status",
    f"snmpwalk -v3 -u ada -A {CANARY} node",
    f"condor_store_cred add -u ada -p {CANARY}",
    f"twine upload -u ada -p {CANARY} dist/x.whl",
    f"cvs -d :pserver:ada:{CANARY}@cvs.example.org:/x co y",
    f"kinit ada@EXAMPLE.ORG <<EOF\n{CANARY}\nEOF",
    f"myproxy-logon -S -l ada <<-'END'\n{CANARY}\nEND",
    f"[default]\naws_secret_access_key = {CANARY}{CANARY}",
    f"[client]\nuser = ada\npassword = {CANARY}",
    f"[eos]\ntype = webdav\npass = {CANARY}{CANARY}",
    f"gitlab:\n  token: {CANARY}{CANARY}",
    f'token = "{CANARY}{CANARY}"',
    f"IFDH_TOKEN={CANARY}",
    f"export CONDITIONS_PW='{CANARY}'",
    f"Driver={{ODBC}};Server=db;UID=ada;PWD={CANARY};",
    f"ansible_ssh_pass={CANARY}",
    f"authToken={CANARY}",
    f"htgettoken -a vault.example.org --vaulttoken={CANARY}",
    json.dumps(json.dumps({"password": CANARY})),
    f'{{"api-key": "{CANARY}"}}',
    f'{{"auths": {{"r.example.org": {{"auth": "{CANARY}{CANARY}="}}}}}}',
    f'<parameter name="password" value="{CANARY}"/>',
    f"<server><password>{CANARY}</password></server>",
    f'DBPwd: "{CANARY}"',
    f'TSQLServer::Connect("oracle://db.example.org/x", "ada", "{CANARY}");',
    f"MySQLdb.connect('db', 'ada', '{CANARY}', 'conditions')",
    f"cx_Oracle.connect('ada', '{CANARY}', 'db.example.org/prod')",
    f"oracledb.connect('ada/{CANARY}@db.example.org/prod')",
    f"ALTER USER ada IDENTIFIED BY {CANARY};",
    f"ALTER ROLE ada WITH PASSWORD '{CANARY}';",
    f'expect "password:"\nsend "{CANARY}\\r"',
    f"AGE-SECRET-KEY-1{CANARY.upper()}{CANARY.upper()}{CANARY.upper()}{CANARY.upper()}",
    f"sk-ant-api03-{CANARY}{CANARY}",
    f"gldt-{CANARY}{CANARY}",
    f"Encryption: none\nPrivate-Lines: 2\n{CANARY}\n{CANARY}\nPrivate-MAC: ab",
    f"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n{CANARY}\n---- END SSH2 ENCRYPTED PRIVATE KEY ----",
    f"https://discord.com/api/webhooks/1234/{CANARY}{CANARY}",
]
INNOCENT = [
    "wget https://files.example.org/data.zip -P downloads7",
    "tracks were identified by their momentum 12345678",
    "EVENT_PASS=100000",
    "the vault logins are counted",
    '{"token": "please enter the 1st token"}',
    'std::regex word(R"(?P<token>[a-z]+)");',
    "openssl enc -aes-256-cbc -kfile key7.txt",
    "gpg --batch --passphrase-fd 0 -d f.gpg",
    "token = stream.next_token_of_line_1()",
    "pass: 2",
    "7z x data7.7z -odir",
    "ssh-keygen -q -N '' -f key12345",
    "snmpwalk -v3 -l noAuthNoPriv node12345",
]
RECORDS: dict[str, dict[str, Any]] = {
    "metadata": {"extra": {"metadata": {"password": CANARY}}},
    "JSON in a text": {"extra": {"note": f'{{"token": "{CANARY}"}}'}},
    "quotes in a text": {"extra": {"note": f'client_secret = "{CANARY}"'}},
    "nested": {"extra": {"deep": [{"db_token": CANARY}]}},
    "option": {"command": {"argv": ["art", "--password", CANARY]}},
    "option with equals": {"command": {"argv": ["art", f"--db-token={CANARY}"]}},
    "variable": {"command": {"argv": ["env", f"DB_PW={CANARY}", "art"]}},
    "mysql": {"command": {"argv": ["mysql", "-u", "ada", f"-p{CANARY}"]}},
    "sshpass": {"command": {"argv": ["sshpass", "-p", CANARY, "ssh"]}},
    "curl": {"command": {"argv": ["curl", "-u", f"ada:{CANARY}", "https://x.example.org"]}},
    "openssl": {"command": {"argv": ["openssl", "rsa", "-passin", f"pass:{CANARY}"]}},
    "ldapsearch": {"command": {"argv": ["/usr/bin/ldapsearch", "-x", "-w", CANARY, "uid=ada"]}},
    "htpasswd": {"command": {"argv": ["htpasswd", "-cb", "users", "ada", CANARY]}},
    "redis-cli": {"command": {"argv": ["env", "LANG=C", "redis-cli", "-a", CANARY, "ping"]}},
    "smbclient": {"command": {"argv": ["smbclient", "//files/data", "-U", f"ada%{CANARY}"]}},
    "docker": {"command": {"argv": ["docker", "login", "-u", "ada", "-p", CANARY]}},
    "rucio": {"command": {"argv": ["rucio", "-a", "ada", "-pwd", CANARY, "whoami"]}},
    "aws": {"command": {"argv": ["aws", "configure", "set", "aws_secret_access_key", CANARY]}},
    "lftp": {"command": {"argv": ["lftp", "-u", f"ada,{CANARY}", "ftp.example.org"]}},
    "keytool": {"command": {"argv": ["keytool", "-storepass", CANARY]}},
    "step": {
        "command": {
            "argv": ["sh"],
            "steps": [{"name": "whoami", "argv": ["rucio", "-pwd", CANARY]}],
        }
    },
    "shell": {"command": {"argv": ["sh", "-c", f"echo {CANARY} | kinit ada"]}},
    "environment": {"environment": {"variables": {"CONDITIONS_PW": CANARY}}},
    "unzip": {"command": {"argv": ["unzip", "-P", CANARY, "data.zip"]}},
    "mc": {"command": {"argv": ["mc", "alias", "set", "s", "https://s3", "ROBOT", CANARY]}},
    "skopeo": {"command": {"argv": ["skopeo", "copy", "--src-creds", f"ada:{CANARY}", "a", "b"]}},
}


def is_stored(service: Service) -> bool:
    """Tell whether the canary is in any byte that the service keeps."""
    folders = {service.settings.data, Path(str(service.database.reading.url.database)).parent}
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and CANARY.encode() in path.read_bytes():
                return True
    return any(CANARY.encode() in service.store.get(name) for name in service.store.digests())


@on_sqlite_alone
@pytest.mark.parametrize("text", TEXTS)
def test_text_is_redacted_by_the_hook_and_refused_by_the_service(
    client: FlaskClient, service: Service, text: str
) -> None:
    content = f"first line\n{text}\nlast line\n".encode()

    assert CANARY.encode() not in redact(content)[0]
    packed = gzip.compress(content)
    second_member = gzip.compress(b"yesterday's log\n") + packed
    for form in (content, packed, second_member, content.decode().encode("utf-16")):
        answer = client.put(f"/api/v1/blobs/{sha256(form)}", data=form)
        assert answer.status_code == 422
    assert list(service.store.digests()) == []


@pytest.mark.parametrize("text", INNOCENT)
def test_text_without_a_secret_is_left_as_it_is(text: str) -> None:
    assert redact(text.encode()) == (text.encode(), [])


@on_sqlite_alone
@pytest.mark.parametrize("form", RECORDS)
def test_record_that_holds_a_secret_is_refused(client: FlaskClient, form: str) -> None:
    answer = client.put(f"/api/v1/jobs/{JOB}", json=a_record(**RECORDS[form]))

    assert answer.status_code == 422
    assert "secret-found" in answer.text
    assert CANARY not in answer.text


def test_record_without_secrets_is_taken(client: FlaskClient) -> None:
    record = a_record(
        command={"argv": ["art", "-p", "8", "--token-file", "/run/token", "curl", "-u", "x"]},
        extra={"metadata": {"token": "/run/user/0/token", "pass": "2", "secret": "$SECRET"}},
    )

    answer = client.put(f"/api/v1/jobs/{JOB}", json=record)

    assert answer.status_code == 201, answer.text


@on_sqlite_alone
@pytest.mark.slow
def test_secret_far_inside_a_large_blob_is_refused(client: FlaskClient, service: Service) -> None:
    line = b"an event went by, nothing was wrong with it\n"
    content = line * 230_000 + f"password='{CANARY}'\n".encode() + line * 10_000

    answer = client.put(f"/api/v1/blobs/{hashlib.sha256(content).hexdigest()}", data=content)

    assert answer.status_code == 422
    assert list(service.store.digests()) == []


def test_secret_in_two_pieces_of_a_tail_is_not_shown(client: FlaskClient) -> None:
    client.put(f"/api/v1/jobs/{JOB}", json=a_record(state="running", ended_at=None))
    first, second = b"begin\npassword='hunter2", b"Canary7'\nend\n"

    client.put(f"/api/v1/jobs/{JOB}/logs/stdout?offset=0", data=first)
    answer = client.put(f"/api/v1/jobs/{JOB}/logs/stdout?offset={len(first)}", data=second)

    assert answer.get_json()["received_bytes"] == len(first) + len(second)
    shown = client.get(f"/api/v1/jobs/{JOB}/logs/stdout").data
    assert b"hunter2" not in shown
    assert b"Canary7" not in shown
    assert shown.startswith(b"begin\n")
    assert b"end\n" in shown


@on_sqlite_alone
@pytest.mark.parametrize("form", RECORDS)
def test_dead_letter_holds_no_secret(client: FlaskClient, service: Service, form: str) -> None:
    body = json.dumps({**a_record(**RECORDS[form]), "schema_version": "none"}).encode()

    client.put(f"/api/v1/jobs/{JOB}", data=body, content_type="application/json")
    client.put(f"/api/v1/jobs/{JOB}", data=body[:-2], content_type="application/json")

    with service.reading() as connection:
        kept = connection.exec_driver_sql("SELECT body FROM dead_letters").scalars().all()
    assert kept
    assert all(CANARY.encode() not in bytes(letter) for letter in kept)


@on_sqlite_alone
@pytest.mark.parametrize("path", ["comparators/nova", "retry-policies/nova"])
def test_declaration_with_a_secret_is_refused(client: FlaskClient, path: str) -> None:
    answer = client.put(f"/api/v1/{path}", json={"why": f"password='{CANARY}'"})

    assert answer.status_code == 422
    assert "secret-found" in answer.text


def test_holder_of_orders_with_a_secret_is_refused(client: FlaskClient) -> None:
    question = {"experiment": "nova", "holder": f"password={CANARY}"}

    answer = client.post("/api/v1/orders/take", json=question)

    assert answer.status_code == 422
    assert "secret-found" in answer.text


def test_password_of_a_repository_is_not_printed(service: Service) -> None:
    url = f"https://robot:{CANARY}@git.example.org/novasoft.git"
    service.write(lambda writing: register_repository(writing, "novasoft", url))

    with service.reading() as connection:
        [registered] = registered_repositories(connection)

    assert CANARY not in str(repository_json(registered))
