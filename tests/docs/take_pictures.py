"""Take the README's pictures anew: `python tests/docs/take_pictures.py URL`.

The URL is that of a service that shows the demo production. Beside each picture `pictures.json`
keeps which words of the page it shows, so that a test can tell when it is out of date. This needs
Chromium, and the packages of the tests.
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import requests
from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).parents[2] / "docs" / "images"
WORDS = IMAGES / "pictures.json"
WIDTH = 1366
MERGED = "toyexp_demo-2026_0001_merge_dimuon.root"
MENU = "nav[aria-label=Site] a"
LABELS = "main dt, main th, main h2"
"""What a page says of every job or file alike: its names of things, not their values."""


def addresses(service: str) -> dict[str, tuple[str, int]]:
    """Return the address of each picture's page, and how high the picture is."""
    answer = requests.get(
        f"{service}/api/v1/jobs", {"experiment": "toyexp", "state": "failed"}, timeout=30
    )
    [failed] = answer.json()["jobs"]
    return {
        "job.png": (f"{service}{failed['url']}", 760),
        "lineage.png": (f"{service}/lineage/{MERGED}?experiment=toyexp&direction=both", 560),
    }


def words_in_sight(page: Page, selector: str, height: int) -> list[str]:
    """Return the words of these elements that the picture shows, each once."""
    words = []
    for element in page.query_selector_all(selector):
        box = element.bounding_box()
        text = element.evaluate("element => element.firstChild?.textContent ?? ''").strip()
        if box and box["y"] + box["height"] < height and text and text not in words:
            words.append(text)
    return words


def take(page: Page, name: str, address: str, height: int) -> dict[str, Any]:
    """Write one picture, and return what it shows."""
    page.set_viewport_size({"width": WIDTH, "height": height})
    page.goto(address)
    page.wait_for_timeout(2000)  # until the map is drawn
    page.screenshot(path=IMAGES / name)
    return {
        "sha256": hashlib.sha256((IMAGES / name).read_bytes()).hexdigest(),
        "menu": words_in_sight(page, MENU, height),
        "labels": words_in_sight(page, LABELS, height),
    }


def main() -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(color_scheme="light")
        shown = {
            name: take(page, name, address, height)
            for name, (address, height) in addresses(sys.argv[1]).items()
        }
        browser.close()
    WORDS.write_text(json.dumps(shown, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
