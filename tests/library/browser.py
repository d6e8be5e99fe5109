"""Debian's Chromium, and a page in it that is watched."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")


ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


WIDE, NARROW, NARROWEST = (1366, 768), (390, 844), (360, 740)


class Watched:
    """A page whose complaints and requests are kept."""

    def __init__(
        self, browser: Browser, site: str, size: tuple[int, int], scheme: Any, **more: Any
    ) -> None:
        self.site = site
        self.context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=scheme,
            bypass_csp=False,
            **more,
        )
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("console", lambda message: self._hear(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))

    def _hear(self, text: str) -> None:
        if "Failed to load resource" not in text:  # the pages of errors have the status of errors
            self.complaints.append(text)

    def check(self) -> None:
        """Fail where something complained, or was asked of another host."""
        assert not self.complaints, self.complaints
        assert self.hosts == {urlsplit(self.site).netloc}


@contextmanager
def opened_browser() -> Iterator[Browser]:
    """Yield Debian's Chromium."""
    if not CHROMIUM.exists():
        pytest.skip(f"NO CHROMIUM at {CHROMIUM}: the pages are not tried in a browser")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))
        yield opened
        opened.close()
