"""What a batch system brought back of a retry goes to where it belongs, or stays."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobprov.provenance.launchers.scripts.retry_files import DESTINATIONS
from jobprov.provenance.services.agents.retry_outputs import bring_retry_home, has_outputs
from tests.library.disk import storage_folder


@pytest.fixture
def store() -> Iterator[Path]:
    with storage_folder() as folder:
        yield folder


def returned(folder: Path, *names: str, **destinations: str) -> Path:
    """Return a folder that came back with files, and the note of where some of them belong."""
    back = folder / "outputs"
    for name in names:
        (back / name).parent.mkdir(parents=True, exist_ok=True)
        (back / name).write_text(f"{name}\n")
    files = {name.replace("_", "."): place for name, place in destinations.items()}
    (back / DESTINATIONS).write_text(json.dumps({"job_id": "j1", "files": files}))
    return back


def test_files_go_to_their_place_with_their_sidecars_and_the_rest_to_the_output_folder(
    tmp_path: Path, store: Path
) -> None:
    place = f"{store}/new/a.root"
    back = returned(tmp_path, "a.root", "a.root.json", "deep/b.root", a_root=place)

    assert bring_retry_home(back, store / "retries") is None

    assert (store / "new/a.root").read_text() == "a.root\n"
    assert (store / "new/a.root.json").read_text() == "a.root.json\n"
    assert (store / "retries/deep/b.root").read_text() == "deep/b.root\n"
    assert not has_outputs(back)


def test_what_belongs_nowhere_else_stays(tmp_path: Path) -> None:
    back = returned(tmp_path, "b.root", "a.root", a_root="/no-such-file-system/d/a.root")

    assert bring_retry_home(back, None) is None

    assert sorted(path.name for path in back.glob("*.root")) == ["a.root", "b.root"]
    assert has_outputs(back)


def test_other_bytes_are_not_replaced_and_what_cannot_be_copied_is_told(
    tmp_path: Path, store: Path
) -> None:
    (store / "a.root").write_text("first\n")
    (store / "b.root.json").mkdir()
    back = returned(tmp_path, "a.root", a_root=f"{store}/a.root")

    assert bring_retry_home(back, store) is None
    assert (store / "a.root").read_text() == "first\n"
    assert (store / "a.root.j1").read_text() == "a.root\n"

    (store / "deep").write_text("no folder\n")
    back = returned(tmp_path, "deep/c.root")
    problem = bring_retry_home(back, store)
    assert problem is not None
    assert "deep/c.root cannot be brought to" in problem
    assert (back / "deep/c.root").is_file()
