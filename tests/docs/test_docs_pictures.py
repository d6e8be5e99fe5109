"""The README's pictures show the pages as they are: the menu, and the labels of what they show.

When one fails, look at the pages and take the pictures anew (`tests/docs/take_pictures.py`).
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from jobprov.app.factory import create_app

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
PICTURES: dict[str, Any] = json.loads((IMAGES / "pictures.json").read_text(encoding="utf-8"))


def test_each_picture_is_described() -> None:
    assert sorted(PICTURES) == sorted(file.name for file in IMAGES.glob("*.png"))


@pytest.mark.parametrize("name", PICTURES)
def test_words_were_noted_when_the_picture_was_taken(name: str) -> None:
    assert hashlib.sha256((IMAGES / name).read_bytes()).hexdigest() == PICTURES[name]["sha256"]


@pytest.mark.parametrize("name", PICTURES)
def test_picture_shows_the_menu_of_today(name: str, tmp_path: Path) -> None:
    application = create_app({"JOBPROV_DATA": str(tmp_path), "JOBPROV_ARCHIVE_URL": "memory:"})
    home = application.test_client().get("/").get_data(as_text=True)
    application.extensions["jobprov"].close()
    [menu] = re.findall(r'<nav aria-label="Site">(.*?)</nav>', home, re.DOTALL)

    assert PICTURES[name]["menu"] == re.findall(r">([^<]+)</a>", menu)


@pytest.mark.parametrize("name", PICTURES)
def test_picture_shows_labels_that_pages_still_have(name: str) -> None:
    pages = [
        *(ROOT / "jobprov" / "app" / "templates").glob("**/*.html"),
        *(ROOT / "jobprov" / "app" / "web").glob("**/*.py"),
    ]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)

    gone = [
        label
        for label in PICTURES[name]["labels"]
        if not re.search(rf"(?:[>\"']|^ *){re.escape(label)}", text, re.MULTILINE)
    ]
    assert gone == []
