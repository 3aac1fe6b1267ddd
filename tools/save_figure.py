"""Save one plot of a report as a picture, for a document: SVG or PNG, drawn by headless Chromium.

For example the figure of effort::

    python tools/save_figure.py work_dirs/mini/report.html "expected mIoU on test" docs/img/effort.svg
"""

from __future__ import annotations

import argparse
import base64
import shutil
import sys
from pathlib import Path
from urllib.parse import unquote_to_bytes

from wrs_mm.files import write_bytes

_DRAW = """async (index) => {
  const canvas = document.querySelectorAll('.canvas')[index];
  await Plotly.relayout(canvas, { paper_bgcolor: 'white', plot_bgcolor: 'white' });
  return Plotly.toImage(canvas, { format: FORMAT, width: WIDTH, height: canvas.clientHeight, scale: 2 });
}"""


def main() -> int:
    """Save the plot.

    Returns:
        0, or 2 where the report has no such plot, or several.
    """
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("report", type=Path, help="report.html")
    parser.add_argument("title", help="a part of the plot's title that no other plot's has")
    parser.add_argument("picture", type=Path, help="the file to write: .svg or .png")
    parser.add_argument("--width", type=int, default=640, help="in pixels")
    args = parser.parse_args()
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.goto(args.report.resolve().as_uri())
        page.wait_for_selector("body[data-drawn]", timeout=120_000)
        titles = page.locator("figure.plot h3").all_inner_texts()
        found = [index for index, title in enumerate(titles) if args.title in title]
        if len(found) != 1:
            listed = "\n".join(titles)
            print(f"{len(found)} plots are called so; name one of\n{listed}", file=sys.stderr)
            return 2
        draw = _DRAW.replace("FORMAT", repr(args.picture.suffix[1:])).replace("WIDTH", str(args.width))
        kind, _, content = page.evaluate(draw, found[0]).partition(",")
        browser.close()
    write_bytes(args.picture, base64.b64decode(content) if "base64" in kind else unquote_to_bytes(content))
    return 0


if __name__ == "__main__":
    sys.exit(main())
