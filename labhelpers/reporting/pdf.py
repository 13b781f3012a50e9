"""Print the page of a report as a PDF, through a browser that is installed."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from labhelpers.errors import LabError
from labhelpers.paths import FREE_SPACE, atomic_write

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge", "msedge", "chrome")
PLACES = (  # where macOS and Windows have them
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
SECONDS = 120  # for a slow machine; usually it takes two


def browser() -> str:
    """Return the path of Chromium, Chrome or Edge; a `LabError` says if there is none."""
    found = [path for path in (*map(shutil.which, NAMES), *PLACES) if path and Path(path).exists()]
    if not found:
        raise LabError(
            "--pdf needs Chromium, Chrome or Edge, and none was found: print index.html from another browser"
        )
    return found[0]


def write(page: Path) -> Path:
    """Print a page as `report.pdf` beside it."""
    target = page.with_name("report.pdf")
    with tempfile.TemporaryDirectory(prefix="lab-", ignore_cleanup_errors=True) as folder:
        printed = Path(folder) / target.name
        options = [
            "--headless",
            "--disable-gpu",
            "--no-first-run",
            "--no-pdf-header-footer",
            f"--user-data-dir={folder}",
        ]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            options.append("--no-sandbox")  # without it they don't start for root; the page is our own
        command = [browser(), *options, f"--print-to-pdf={printed}", page.absolute().as_uri()]
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):  # then there is no file
            subprocess.run(command, capture_output=True, timeout=SECONDS)
        if not printed.exists():
            raise LabError(f"{command[0]} printed nothing: print {page} from a browser")
        with atomic_write(target, FREE_SPACE) as temporary:
            temporary.write_bytes(printed.read_bytes())
    return target
