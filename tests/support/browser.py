"""A headless Chromium driven over WebDriver (W3C), as far as the page's test needs it."""

import base64
import shutil
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2

from tests.support.services import wait_for

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # key of an element's id, fixed by the standard
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
KEYS = {
    "Enter": "\ue007", "F2": "\ue032", "Control": "\ue009", "Alt": "\ue00a", "Shift": "\ue008", "Tab": "\ue004",
    "Escape": "\ue00c", "Delete": "\ue017", "End": "\ue010", "ArrowLeft": "\ue012", "ArrowUp": "\ue013",
    "ArrowRight": "\ue014", "ArrowDown": "\ue015",
}  # fmt: skip


class Browser:
    """One window. `phone`: a touch screen of 390 x 844 points. `language`: what the browser prefers; `downloads`: a
    folder for what is downloaded."""

    def __init__(
        self, *, phone: bool = False, language: str = "vi", dark: bool = False, downloads: Path | None = None
    ) -> None:
        assert CHROMIUM and DRIVER
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.driver = subprocess.Popen([DRIVER, f"--port={port}", "--silent"], stdout=subprocess.DEVNULL)
        self.client = httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=120)
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--lang={language}"]
        arguments += ["--window-size=1280,900", "--hide-scrollbars", "--disable-background-networking"]
        arguments += ["--blink-settings=preferredColorScheme=0"] if dark else []
        options: dict[str, Any] = {"binary": CHROMIUM, "args": arguments}
        options["prefs"] = {"intl.accept_languages": language}
        if downloads is not None:
            downloads.mkdir(parents=True, exist_ok=True)
            options["prefs"] |= {"download.default_directory": str(downloads), "download.prompt_for_download": False}
        if phone:
            options["mobileEmulation"] = {
                "deviceMetrics": {"width": 390, "height": 844, "pixelRatio": 2, "touch": True}
            }
        wait_for(self._is_ready, 60)
        wanted = {
            "capabilities": {"alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}
        }
        self.session = f"/session/{self._ask('POST', '/session', wanted)['sessionId']}"

    def _is_ready(self) -> bool:
        try:
            return bool(self.client.get("/status").json()["value"]["ready"])
        except httpx2.TransportError:
            return False

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = self.client.request(method, path, json=body if method == "POST" else None).json()["value"]
        assert not (isinstance(answer, dict) and "error" in answer), answer
        return answer

    def open(self, url: str) -> None:
        """Go to an address."""
        self._ask("POST", f"{self.session}/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        return self._ask("POST", f"{self.session}/execute/sync", {"script": script, "args": list(arguments)})

    def run_async(self, script: str) -> Any:
        """What a script gives to the function that is its last argument."""
        return self._ask("POST", f"{self.session}/execute/async", {"script": script, "args": []})

    def drag(self, selector: str, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press the mouse at one place of an element, move it to another and let go; places are shares of its size."""
        frame = self.run("const r = document.querySelector(arguments[0]).getBoundingClientRect();"
                         "return [r.left, r.top, r.width, r.height]", selector)  # fmt: skip
        left, top, width, height = frame
        points = [(round(left + x * width), round(top + y * height)) for x, y in (start, end)]
        (x, y), (x2, y2) = points
        actions = [
            {"type": "pointerMove", "x": x, "y": y, "duration": 0},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerMove", "x": (x + x2) // 2, "y": (y + y2) // 2, "duration": 100},
            {"type": "pointerMove", "x": x2, "y": y2, "duration": 100},
            {"type": "pointerUp", "button": 0},
        ]
        body = {"actions": [{"type": "pointer", "id": "mouse", "actions": actions}]}
        self._ask("POST", f"{self.session}/actions", body)

    def find(self, selector: str) -> str:
        """Id of the first element that a CSS selector finds."""
        found = self._ask("POST", f"{self.session}/element", {"using": "css selector", "value": selector})
        return str(found[ELEMENT])

    def click(self, selector: str) -> None:
        """Click as a person does: scrolled into view, and only where nothing covers it."""
        self._ask("POST", f"{self.session}/element/{self.find(selector)}/click", {})

    def choose_files(self, selector: str, *paths: Path) -> None:
        """Choose files in a file field."""
        text = "\n".join(str(path) for path in paths)
        self._ask("POST", f"{self.session}/element/{self.find(selector)}/value", {"text": text})

    def press(self, *keys: str) -> None:
        """Press keys one after another on whatever has the focus; "Alt+1" holds the first."""
        actions = []
        for key in keys:
            held = [KEYS.get(part, part) for part in (key.split("+") if len(key) > 1 else [key])]
            actions += [{"type": "keyDown", "value": value} for value in held]
            actions += [{"type": "keyUp", "value": value} for value in reversed(held)]
        body = {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]}
        self._ask("POST", f"{self.session}/actions", body)

    def text(self, selector: str) -> str:
        """Visible text of an element, empty without one."""
        return str(self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def complaints(self) -> list[str]:
        """Errors and warnings of the console since the last look."""
        log = self._ask("POST", f"{self.session}/se/log", {"type": "browser"})
        return [entry["message"] for entry in log if entry["level"] in ("SEVERE", "WARNING")]

    def shoot(self, path: Path) -> None:
        """A picture of the window."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self._ask("GET", f"{self.session}/screenshot")))

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self._ask("DELETE", self.session)
        finally:
            self.client.close()
            self.driver.terminate()
            self.driver.wait(30)
