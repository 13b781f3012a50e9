"""A headless Chromium without a network, driven as by a person: keys, clicks, and what is seen of the page."""

import base64
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from websocket import create_connection

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)
KEYS = {"Enter": (13, "\r"), " ": (32, " "), "Tab": (9, ""), "ArrowRight": (39, ""), "ArrowDown": (40, "")}


class Chromium:
    """One page in a browser; a context that ends with it.

    Attributes:
        requests: addresses asked for since it was opened, but those inside the page.
        complaints: errors and warnings of the console.
    """

    def __init__(self, folder: Path):
        self.requests, self.complaints, self._number = [], [], 0
        with (folder / "chromium.log").open("w") as log:
            self._process = subprocess.Popen(
                [PROGRAM, *OPTIONS, f"--user-data-dir={folder}/user", "about:blank"],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        port_file = folder / "user" / "DevToolsActivePort"
        until = time.monotonic() + 60
        while not (port_file.exists() and port_file.read_text().count("\n") == 1):
            assert time.monotonic() < until and self._process.poll() is None, "Chromium does not start"
            time.sleep(0.1)
        port, path = port_file.read_text().split()
        self._socket = create_connection(f"ws://127.0.0.1:{port}{path}", timeout=300)
        self._session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def call(self, method: str, **parameters) -> dict:
        """Send one command of the DevTools protocol; returns its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        self._socket.send(json.dumps(message | ({"sessionId": self._session} if self._session else {})))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def open(self, address: str, width: int = 1280, height: int = 900) -> None:
        """Open an address in a window of this size, and wait until it is there."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.requests, self.complaints = [], []
        self.call("Page.navigate", url=address)
        until = time.monotonic() + 60
        while not self.see("document.readyState === 'complete' && location.protocol !== 'about:'"):
            assert time.monotonic() < until, "the page does not load"
            time.sleep(0.05)

    def see(self, expression: str):
        """Return the value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def click(self, selector: str) -> None:
        """Click the middle of the first element that fits, where a person sees it."""
        x, y = self.see(
            f"{{const element = document.querySelector({json.dumps(selector)}); "
            "element.scrollIntoView({block: 'center', behavior: 'instant'}); "
            "const box = element.getBoundingClientRect(); [box.x + box.width / 2, box.y + box.height / 2]}"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, *keys: str) -> None:
        """Press keys one after the other, wherever the focus is."""
        for key in keys:
            code, text = KEYS[key]
            same = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": code}
            self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **same)
            self.call("Input.dispatchKeyEvent", type="keyUp", **same)

    def printed(self) -> bytes:
        """Return the page as a PDF."""
        return base64.b64decode(self.call("Page.printToPDF", preferCSSPageSize=True)["data"])

    def _note(self, event):
        method, details = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            url = details["request"]["url"]
            self.requests += [url] * (not url.startswith(("data:", "blob:")))
        elif method in ("Log.entryAdded", "Runtime.exceptionThrown"):
            self.complaints.append(str(details))
        elif method == "Runtime.consoleAPICalled" and details["type"] in ("error", "warning"):
            self.complaints.append(str(details["args"]))
