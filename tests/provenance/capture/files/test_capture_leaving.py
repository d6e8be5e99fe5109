"""Which files may leave the worker node."""

from pathlib import Path

import pytest

from jobprov.provenance.capture.files import leaving, private


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def write(path: Path, text: str = "x = 1\n", mode: int = 0o644) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def may_leave(path: str) -> bool:
    return leaving.may_leave(path, Path(path).stat())


@pytest.mark.parametrize(
    "name",
    [
        ".pyenv/versions/3.11.7/lib/python3.11/os.py",
        ".local/lib/python3.11/site-packages/toy.py",
        ".local/bin/toy",
        ".hidden-venv/lib/python3.11/site-packages/toy.py",
        ".conda/envs/reco/share/toy.txt",
        ".local/share/uv/python/cpython-3.12/lib/toy.py",
        "miniforge3/lib/toy.py",
    ],
)
@pytest.mark.parametrize("mode", [0o644, 0o600])
def test_software_in_a_home_may_leave_even_if_its_owner_alone_may_read_it(
    home: Path, name: str, mode: int
) -> None:
    write(home / ".hidden-venv/pyvenv.cfg")
    write(home / ".conda/envs/reco/conda-meta/history")
    write(home / ".local/share/uv/python/cpython-3.12/bin/python3")
    write(home / "miniforge3/conda-meta/history")
    private._has_mark.cache_clear()

    assert may_leave(write(home / name, mode=mode))
    assert not may_leave(write(home / name, "password = 'mine0815'\n"))


@pytest.mark.parametrize(
    ("name", "mode"),
    [(".ssh/config", 0o644), (".local/share/keyrings/x", 0o644), (".x", 0o644), ("own.txt", 0o600)],
)
def test_anything_else_that_is_private_stays_even_if_a_python_lies_in_the_home(
    home: Path, name: str, mode: int
) -> None:
    write(home / "bin/python3")
    write(home / ".local/bin/python3")
    private._has_mark.cache_clear()

    assert not may_leave(write(home / name, mode=mode))


@pytest.mark.slow
@pytest.mark.parametrize(("secret", "expected"), [("", True), ("password = 'mine0815'\n", False)])
def test_text_is_searched_to_its_end_whatever_its_size(
    home: Path, secret: str, *, expected: bool
) -> None:
    text = "energy\t1.0\n" * 900_000

    assert may_leave(write(home / "calibration.txt", text + secret + "x\n" * 30_000)) is expected
