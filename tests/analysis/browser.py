"""A headless Chromium (Debian's) that opens a page, for the tests that look at one.

Without Chromium these tests are skipped; with RMAAT_BROWSER=required, as in .ci/run, they fail.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]
REQUIRED = os.environ.get("RMAAT_BROWSER") == "required"
PATIENCE = 180_000  # ms, on a machine that has other work; a page takes about a second
SIZES = {"wide": (1280, "light"), "narrow": (400, "dark")}

needs_chromium = pytest.mark.skipif(CHROMIUM is None and not REQUIRED, reason="chromium is not installed")


@contextmanager
def opened(file: Path, size: str) -> Iterator[Any]:
    """The page in a tab of one of `SIZES`; ``requests`` and ``messages`` hold what it asked for and complained of."""
    from playwright.sync_api import sync_playwright

    width, scheme = SIZES[size]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page: Any = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.set_default_timeout(PATIENCE)
        page.messages, page.requests = [], []
        page.on("console", lambda message: page.messages.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: page.messages.append(f"error: {error}"))
        page.on("request", lambda request: page.requests.append(request.url))
        page.goto(file.as_uri())
        page.wait_for_function(
            "[...document.querySelectorAll('.plot')].every((plot) => plot.querySelector('.main-svg'))"
        )
        yield page
        browser.close()


def require_sound(page: Any, file: Path) -> None:
    """No message, no request but for the file itself, every plot drawn, nothing wider than the window, axe content."""
    assert page.messages == []
    assert page.requests == [file.as_uri()]
    drawn = page.evaluate(
        "[...document.querySelectorAll('.plot')].map((plot) => plot.querySelectorAll('.trace, .hm').length)"
    )
    assert drawn
    assert min(drawn) > 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    require_accessible(page)


def require_accessible(page: Any) -> None:
    """axe finds nothing serious."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    serious = {each["id"]: each["help"] for each in found if each["impact"] in ("serious", "critical")}
    assert serious == {}


def shot(page: Any, name: str) -> None:
    """Keep a picture of the whole page where RMAAT_SHOTS says, to be looked at."""
    if folder := os.environ.get("RMAAT_SHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)
