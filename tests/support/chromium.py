"""A real headless Chromium for tests of pages, or the reason why there is none."""

import contextlib
import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.architecture.repository import ROOT

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
# Nothing of the browser's own leaves the machine; as root it has no sandbox of its own.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WAIT_MS = 10_000


def chromium_path() -> str:
    """Where Chromium is; the test is skipped with a reason where it is nowhere."""
    named = os.environ.get("CHROMIUM", "")
    for program in (named, *PROGRAMS):
        if program and (found := shutil.which(program)):
            return found
    why = ROOT / ".tools/chromium/UNAVAILABLE"
    pytest.skip(why.read_text().strip() if why.exists() else "no Chromium: run .ci/setup")


@contextlib.contextmanager
def running_chromium() -> Iterator[Browser]:
    """A browser of the test's own; contexts of it share nothing."""
    path = chromium_path()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, headless=True, args=list(FLAGS), timeout=60_000
        )
        try:
            yield browser
        finally:
            browser.close()
