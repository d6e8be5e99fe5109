"""Hostile urls, refs, options and repositories make git run nothing.

They make it write nothing, and read nothing else.
"""

import os
import socket
import stat
import threading
import time
from pathlib import Path

import pytest

from jobprov.provenance.errors import SoftwareError
from jobprov.provenance.software.fetching import list_remote
from jobprov.provenance.software.git_command import GitError, Limits, run_git, scratch_environment
from jobprov.provenance.software.mirrors import Mirror
from jobprov.provenance.software.urls import RepositoryUrl, parse_url
from tests.library.commands import all_end
from tests.library.git import MakeRepository, Repository


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A program that leaves a trace when it is run; `trace_of` is where."""
    program = tmp_path / "canary.sh"
    program.write_text(f"#!/bin/sh\ntouch {trace_of(program)}\ncat\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def trace_of(canary: Path) -> Path:
    return canary.with_name("trace")


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    folder = tmp_path / "bare.git"
    run_git(["init", "--quiet", "--bare", "--template=", "--", str(folder)])
    return folder


def test_canary_works(canary: Path) -> None:
    os.system(f"{canary} </dev/null")  # noqa: S605

    assert trace_of(canary).exists()


@pytest.mark.parametrize("is_local", [True, False])
@pytest.mark.parametrize(
    "url",
    [
        "ext::{canary}",
        "ext::sh -c {canary}% >&2",
        "--upload-pack={canary}",
        "-u{canary}",
        "ssh://-oProxyCommand={canary}/x",
        "ssh://-oProxyCommand={canary}@host/x",
        "-oProxyCommand={canary}:x",
        "git@-oProxyCommand={canary}:x",
        "https://host\n/x",
        "https://host/x\0",
        "fd::17/foo",
        "ftp://host/x",
        "relative/path",
        "",
        "https://",
        "https://host",
        "https://host:port/x",
        "https://[::1/x",
    ],
)
def test_hostile_urls_are_refused_before_git_sees_them(
    url: str, *, is_local: bool, canary: Path, tmp_path: Path
) -> None:
    with pytest.raises(SoftwareError):
        Mirror.open_or_create(
            tmp_path / "m.git", url.replace("{canary}", str(canary)), is_local=is_local
        )

    assert not trace_of(canary).exists()
    assert not (tmp_path / "m.git").exists()


@pytest.mark.parametrize("url", ["file:///srv/x.git", "/srv/x.git", "file://localhost/srv/x.git"])
def test_local_paths_are_refused_unless_the_operator_registered_one(
    url: str, tmp_path: Path
) -> None:
    with pytest.raises(SoftwareError, match="register"):
        Mirror.open_or_create(tmp_path / "m.git", url)


@pytest.mark.parametrize(
    "url", ["http://example.org/x", "git://example.org/x", "https://example.org/x"]
)
def test_a_local_registration_opens_no_other_transport(url: str, tmp_path: Path) -> None:
    with pytest.raises(SoftwareError, match="not fetched by"):
        Mirror.open_or_create(tmp_path / "m.git", url, is_local=True)


@pytest.mark.parametrize(
    "url",
    [
        "ext::{canary} %S",
        "file://{upstream}",
        "{upstream}",
        "git://127.0.0.1/x",
        "http://127.0.0.1/x",
        "ssh://x@127.0.0.1/x",
    ],
)
def test_the_wrapper_alone_stops_transports_that_were_not_asked_for(
    url: str, production: Repository, bare: Path, canary: Path
) -> None:
    """Even where a url slips past the checks of its form."""
    address = url.replace("{canary}", str(canary)).replace("{upstream}", str(production.path))

    with pytest.raises(GitError, match=r"not allowed|Unable to find remote helper"):
        run_git(["ls-remote", "--", address], git_dir=bare, transports=("https",))

    assert not trace_of(canary).exists()


def test_option_in_place_of_a_url_is_an_operand(bare: Path, canary: Path) -> None:
    with pytest.raises(SoftwareError):
        list_remote(bare, RepositoryUrl("file", "", "", None, f"--upload-pack={canary}"))

    assert not trace_of(canary).exists()


def test_configuration_and_variables_of_the_service_are_not_git_s(
    bare: Path, canary: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".gitconfig").write_text(f'[url "ext::{canary} "]\n\tinsteadOf = https://\n')
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_SSH_COMMAND", str(canary))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(canary))

    answer = run_git(["config", "--list", "--show-scope"], git_dir=bare)

    assert {line.split("\t")[0] for line in answer.lines} == {"command", "local"}
    assert "GIT_SSH_COMMAND" in scratch_environment()
    assert scratch_environment()["GIT_SSH_COMMAND"] == "/bin/false"
    assert "GIT_CONFIG_COUNT" not in scratch_environment(("https",))


def test_hooks_and_monitors_of_a_mirror_do_nothing(
    production: Repository, canary: Path, tmp_path: Path
) -> None:
    mirror = Mirror.open_or_create(tmp_path / "m.git", str(production.path), is_local=True)
    hooks = mirror.folder / "hooks"
    hooks.mkdir()
    for name in ("reference-transaction", "post-update", "pre-auto-gc", "post-index-change"):
        (hooks / name).symlink_to(canary)
    with (mirror.folder / "config").open("a") as config:
        config.write(f"[core]\n\tfsmonitor = {canary}\n\thooksPath = {hooks}\n")

    mirror.fetch()
    mirror.pin(production.git("rev-parse", "main"))

    assert not trace_of(canary).exists()


def test_commands_that_are_not_listed_are_refused(bare: Path, tmp_path: Path) -> None:
    for arguments in (
        ["log", f"--output={tmp_path}/made"],
        ["upload-pack", str(bare)],
        ["-c", "x=y"],
        ["clone", "x"],
    ):
        with pytest.raises(GitError, match="not among"):
            run_git(arguments, git_dir=bare)

    assert not (tmp_path / "made").exists()


def test_unknown_transport_and_nul_are_refused(bare: Path) -> None:
    with pytest.raises(GitError, match="Transport ext"):
        run_git(["ls-remote", "--", "x"], git_dir=bare, transports=("ext",))
    with pytest.raises(GitError, match="NUL"):
        run_git(["ls-remote", "--", "x\0y"], git_dir=bare)


def test_git_finds_no_repository_by_itself(
    production: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(production.path)
    monkeypatch.setenv("GIT_DIR", str(production.path / ".git"))

    with pytest.raises(GitError, match="not a git repository"):
        run_git(["for-each-ref"])


@pytest.mark.slow
def test_file_limit_stops_a_large_fetch_and_leaves_the_mirror_usable(
    make_repository: MakeRepository, tmp_path: Path
) -> None:
    upstream = make_repository("upstream")
    upstream.write("noise", os.urandom(3 << 20))
    upstream.commit()
    limits = Limits(wall_seconds=60, file_bytes=1 << 20)
    small = Mirror.open_or_create(
        tmp_path / "m.git", str(upstream.path), is_local=True, limits=limits
    )

    with pytest.raises(GitError, match="fetch"):
        small.fetch()

    assert small.refs() == {}
    roomy = Mirror.open_or_create(tmp_path / "m.git", str(upstream.path), is_local=True)
    assert list(roomy.fetch().refs) == ["refs/heads/main"]


def test_silent_server_is_given_up_with_all_its_helpers(bare: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"https://127.0.0.1:{server.getsockname()[1]}/x"
        started = time.monotonic()

        with pytest.raises(GitError, match=r"stopped after 0\.5 seconds"):
            run_git(
                ["ls-remote", "--", address],
                git_dir=bare,
                transports=("https",),
                limits=Limits(wall_seconds=0.5),
            )

        assert time.monotonic() - started < 30
        assert all_end(address)  # while the server still holds the connection


def test_malformed_objects_of_a_server_are_refused(production: Repository, tmp_path: Path) -> None:
    entry = f"100644 blob {production.git('rev-parse', 'main:empty')}\t.git\n"
    tree = production.git("mktree", stdin=entry)
    commit = production.git("commit-tree", "-m", "hostile", tree)
    production.git("update-ref", "refs/heads/hostile", commit)
    mirror = Mirror.open_or_create(tmp_path / "m.git", str(production.path), is_local=True)

    with pytest.raises(GitError, match="hasDotgit"):
        mirror.fetch()

    assert mirror.refs() == {}


def test_private_hosts_are_refused_before_a_connection(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        mirror = Mirror.open_or_create(
            tmp_path / "m.git", f"https://127.0.0.1:{server.getsockname()[1]}/x"
        )

        with pytest.raises(SoftwareError, match="private address 127"):
            mirror.fetch()

        with pytest.raises(TimeoutError):
            server.accept()


def test_trusted_private_host_is_connected_to_at_its_looked_up_address(tmp_path: Path) -> None:
    connections = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            connections.append(connection.recv(16))
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"https://localhost:{server.getsockname()[1]}/x"
        mirror = Mirror.open_or_create(tmp_path / "m.git", url, trusted_hosts=["localhost"])

        with pytest.raises(GitError, match="ls-remote"):
            mirror.fetch()
        thread.join(60)

    assert connections[0][:1] == b"\x16"  # a TLS greeting


def test_error_says_what_failed_where_and_why(bare: Path) -> None:
    with pytest.raises(GitError) as caught:
        run_git(["cat-file", "-t", "1" * 40], git_dir=bare)

    assert caught.value.exit_code == 128
    assert str(bare) in str(caught.value)
    assert "could not get object info" in str(caught.value)


def test_password_in_a_url_reaches_neither_git_nor_errors(tmp_path: Path) -> None:
    mirror = Mirror.open_or_create(tmp_path / "m.git", "https://ada:s3cret@127.0.0.1:1/x.git")

    with pytest.raises(SoftwareError) as caught:
        mirror.fetch()

    assert "s3cret" not in str(caught.value)
    assert mirror.url.public == "https://127.0.0.1:1/x.git"
    assert parse_url(mirror.url.public).key == mirror.url.key
