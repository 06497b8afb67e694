"""Write docs/report.png: the first screen of a study's report, as the README shows it."""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).resolve().parent / "report.png"
_WINDOW = {"width": 1200, "height": 1120}


def main() -> int:
    """Open the report in a browser, wait until it is drawn, and keep what is seen."""
    if len(sys.argv) != 2:
        print("usage: python docs/screenshot.py studies/NAME/report.html", file=sys.stderr)
        return 2
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("chromium-browser"),
            args=["--no-sandbox"],  # containers have no user namespaces to make a sandbox of
        )
        page = browser.new_page(viewport=_WINDOW, color_scheme="light")  # type: ignore[arg-type]
        page.goto(Path(sys.argv[1]).resolve().as_uri())
        page.wait_for_selector("html[data-drawn=yes]")
        page.wait_for_timeout(300)
        page.screenshot(path=PICTURE)
        browser.close()
    print(f"wrote {PICTURE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
