"""The hook for commands: built once, and the same bytes from wherever it comes."""

import hashlib
from pathlib import Path

import pytest

from jobprov.provenance.launchers import hook_file
from tests.library.built_once import built_hook


@pytest.fixture
def built() -> bytes:
    return built_hook()


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch, built: bytes) -> list[int]:
    """Count how often a hook is built."""
    counted: list[int] = []

    def count(members: dict[str, bytes]) -> bytes:
        counted.append(len(members))
        return built

    monkeypatch.setattr(hook_file, "packed", count)
    return counted


def test_hook_is_built_once_and_is_executable(
    tmp_path: Path, builds: list[int], built: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    kept = tmp_path / "cache" / "hooks"
    for name in ("one.pyz", "two.pyz"):
        digest = hook_file.put_hook(tmp_path / name, kept=kept)

        assert digest == hashlib.sha256(built).hexdigest()
        assert (tmp_path / name).read_bytes() == built
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o755
    assert len(builds) == 1
    assert len(list(kept.iterdir())) == 1
    [message] = caplog.messages
    assert "takes some seconds" in message


@pytest.mark.slow
def test_damaged_hook_is_built_anew(tmp_path: Path, builds: list[int], built: bytes) -> None:
    hook_file.put_hook(tmp_path / "hook.pyz", kept=tmp_path / "kept")
    [file] = (tmp_path / "kept").iterdir()
    file.write_bytes(built[:1000])

    hook_file.put_hook(tmp_path / "hook.pyz", kept=tmp_path / "kept")

    assert (tmp_path / "hook.pyz").read_bytes() == built
    assert len(builds) == 2


@pytest.mark.slow
def test_cache_that_cannot_be_used_costs_time_alone(
    tmp_path: Path, builds: list[int], built: bytes
) -> None:
    (tmp_path / "file").touch()

    hook_file.put_hook(tmp_path / "hook.pyz", kept=tmp_path / "file" / "kept")

    assert (tmp_path / "hook.pyz").read_bytes() == built
    assert len(builds) == 1


@pytest.mark.slow
def test_cache_is_where_the_user_wants_it(
    tmp_path: Path, builds: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    hook_file.put_hook(tmp_path / "hook.pyz")

    assert list((tmp_path / "cache/jobprov/hooks").glob("*.pyz"))
    assert builds
