"""Pages in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Visit:
    """A page in a browser, with what it asked for and complained of."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(dialog.message))


def open_page(browser: Any, path: Path, width: int) -> Visit:
    """Open a report and wait until its plots are drawn."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    made = Visit(page)
    page.goto(path.as_uri())
    page.wait_for_selector("body[data-drawn]", timeout=120_000)
    return made
