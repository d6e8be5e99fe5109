"""Debian's Chromium, and a page in it that is watched."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_core_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")


ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--in-process-gpu",  # a sixth less CPU than with a process of its own
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


WIDE, NARROW, NARROWEST = (1366, 768), (390, 844), (360, 740)


# What passed stays in the browser: to bring megabytes of it here took most of the time.
_RUN_AXE = """options => axe.run(document, {...options, resultTypes: ["violations"]}).then(
    found => ({passes: found.passes.length, violations: found.violations})
)"""


def axe_findings(page: Page, *, rules: tuple[str, ...] = ()) -> list[tuple[str, list[str]]]:
    """Return what axe-core finds on a page by some rules, or by all: rule, and first elements."""
    # By the debugger, which the policy of the page does not bind
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    options = {"runOnly": {"type": "rule", "values": rules}} if rules else {}
    result = page.evaluate(_RUN_AXE, options)
    assert result["passes"], "something was looked at"
    findings = []
    for violation in result["violations"]:
        elements = [node["html"][:160] for node in violation["nodes"][:3]]
        findings.append((violation["id"], elements))
    return findings


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
