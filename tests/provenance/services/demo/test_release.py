"""The demo's git repository is made by real git, the same everywhere."""

import os
from pathlib import Path

import pytest

from jobprov.provenance.errors import NotFoundError, SoftwareError
from jobprov.provenance.services.demo.release import VERSION, make_release
from tests.library.git import git


def test_release_is_an_annotated_tag_on_a_short_history(tmp_path: Path) -> None:
    release = make_release(tmp_path)

    assert git(release.repository, "cat-file", "-t", VERSION) == "tag"
    assert git(release.repository, "rev-list", "--count", "main") == "3"
    assert git(release.repository, "tag").split() == ["v1_00_00", "v1_01_00", "v1_02_00"]
    assert git(release.checkout, "rev-parse", "HEAD") == release.commit
    assert git(release.checkout, "config", "remote.origin.url") == str(release.repository)
    assert git(release.repository, "fsck", "--strict") == ""


def test_checkout_holds_exactly_the_programs(tmp_path: Path) -> None:
    release = make_release(tmp_path)

    tracked = git(release.checkout, "ls-files", "--stage").splitlines()

    assert git(release.checkout, "status", "--porcelain", "--ignored") == ""
    assert {line.rpartition("\t")[2] for line in tracked if line.startswith("100755")} == {
        "bin/run_reco.sh",
        "bin/toy",
    }
    assert not [line for line in tracked if line.endswith(".pyc")]


@pytest.mark.slow
def test_commit_is_the_same_in_other_places_times_and_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        "[user]\nname = Somebody Else\n[core]\nautocrlf = true\n[commit]\ngpgsign = true\n"
    )
    first = make_release(tmp_path / "first").commit

    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Nobody")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    old = os.umask(0o077)
    try:
        second = make_release(tmp_path / "second").commit
    finally:
        os.umask(old)

    assert first == second


def test_release_made_before_is_kept(tmp_path: Path) -> None:
    release = make_release(tmp_path)
    (release.checkout / "mark").touch()

    assert make_release(tmp_path) == release
    assert (release.checkout / "mark").exists()


def test_half_made_repository_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "git" / "draft").mkdir(parents=True)
    (tmp_path / "git" / "toyexp.git").mkdir()

    assert len(make_release(tmp_path).commit) == 40


def test_missing_programs_are_told_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="from a checkout"):
        make_release(tmp_path, programs=tmp_path / "absent")


def test_missing_git_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(SoftwareError, match="needs git"):
        make_release(tmp_path)


def test_damaged_checkout_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "toyexp").mkdir()

    with pytest.raises(SoftwareError, match=f"git rev-parse failed in {tmp_path}/toyexp"):
        make_release(tmp_path)
