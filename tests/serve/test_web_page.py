"""The page in a real browser: upload, correct by keyboard, retrain, promote, roll back, in both languages.

Skips where there is no Chromium with its driver (Debian: chromium, chromium-driver).
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from netchu.core.metrics import distance
from netchu.core.preprocess import read_image
from netchu.serve.uploads import encode_png
from tests.support.browser import CHROMIUM, DRIVER, Browser, wait_until
from tests.support.forms import make_form
from tests.support.services import Running
from tests.support.tiny import ROOT, TEXTS

PAGE = ROOT / "src" / "netchu" / "serve" / "web"
SHOTS = os.environ.get("NETCHU_SHOTS")  # folder for pictures of the page

needs_browser = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium with chromedriver on this machine")


def read_words() -> dict[str, dict[str, str]]:
    """The page's words by language."""
    script = (PAGE / "words.js").read_text(encoding="utf-8")
    table = script.split("const WORDS = ", 1)[1].split("\n};", 1)[0] + "\n}"
    table = re.sub(r"^(\s*)(\w+):", r'\1"\2":', table, flags=re.MULTILINE)
    words: dict[str, dict[str, str]] = json.loads(re.sub(r",(\s*})", r"\1", table))
    return words


def test_both_languages_have_every_word_and_the_page_uses_no_other() -> None:
    words = read_words()
    assert words["vi"].keys() == words["en"].keys()
    for key, text in words["vi"].items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", words["en"][key])), key
    sources = [path.read_text(encoding="utf-8") for path in PAGE.iterdir() if path.suffix in (".js", ".html")]
    used = {
        word for source in sources for word in re.findall(r'data-word="(\w+)"|\bsay\("(\w+)"', source) for word in word
    }
    assert used - {""} <= words["vi"].keys()


def test_nothing_of_the_page_comes_from_elsewhere() -> None:
    for path in PAGE.iterdir():
        addresses = re.findall(r"https?://[^\s\"')]+", path.read_text(encoding="utf-8"))
        assert set(addresses) <= {"http://www.w3.org/2000/svg"}, path.name


@pytest.fixture
def pictures(tmp_path: Path, lines_folder: Path) -> list[Path]:
    """Four lines in six pictures each, as an office would scan them."""
    paths = []
    for copy in range(6):
        for number in range(4):
            image = read_image(lines_folder / "images" / "0" / f"{number}.jpg").copy()
            image[copy, 0] ^= 1
            paths.append(tmp_path / f"{copy}-{number}.png")
            paths[-1].write_bytes(encode_png(image))
    return paths


@pytest.fixture
def service(tmp_path: Path, tiny_bundle: Path) -> Iterator[Running]:
    service = Running(tmp_path / "service", "--bundles", str(tiny_bundle))
    yield service
    service.stop()


def shoot(browser: Browser, name: str) -> None:
    if SHOTS:
        browser.shoot(Path(SHOTS) / f"{name}.png")


def all_read(browser: Browser) -> bool:
    return bool(browser.run("return [...document.querySelectorAll('.state')].every(s => !s.textContent)"))


@needs_browser
def test_upload_correct_retrain_promote_recognise_again(service: Running, pictures: list[Path]) -> None:
    words = read_words()["vi"]
    with Browser(language="vi") as browser:
        browser.open(service.url)
        wait_until(lambda: browser.text("#figure-corrections") == "0")
        assert browser.text("#retrain-hint") == words["too_few"]
        browser.choose_files("#files", *pictures)
        wait_until(lambda: browser.run("return document.querySelectorAll('.line').length") == len(pictures))
        wait_until(lambda: all_read(browser))
        shoot(browser, "read")

        # keyboard only: the doubtful character, its first alternative, the whole text anew, Enter to the next line
        browser.run("document.querySelector('textarea').focus()")
        read = browser.run("return document.activeElement.value")
        browser.press("F2")
        wait_until(lambda: browser.text(".chips.characters"))
        chosen = browser.run("return document.querySelector('.chips.characters button').firstChild.textContent")
        browser.press("Alt+1")
        changed = browser.run("return document.activeElement.value")
        assert changed != read
        assert chosen == words["nothing"] or chosen in changed or chosen == "␣"
        browser.press("Escape")
        assert browser.run("return document.activeElement.value") == read
        for at, path in enumerate(pictures):
            text = TEXTS[int(path.stem[-1])]
            assert browser.run("return document.activeElement.tagName") == "TEXTAREA"
            browser.run(
                "const i = document.activeElement; i.value = arguments[0];"
                "i.dispatchEvent(new Event('input', { bubbles: true }))",
                text,
            )
            browser.press("Enter")
            wait_until(lambda at=at: browser.text("#figure-corrections") == str(at + 1))  # type: ignore[misc]
        assert browser.text("#left") == words["all_done"]
        assert len(list((service.data / "samples").glob("*/*.png"))) == len(pictures)

        # the button asks for the chosen number of rounds; a test has no time for gentle ones
        browser.run(
            "const send = window.fetch; window.fetch = (path, options) => send(path, path === 'api/retrain' && "
            "options.method === 'POST' ? { ...options, body: JSON.stringify({ epochs: 40, lr: 0.003 }) } : options)"
        )
        browser.click("#retrain")
        wait_until(lambda: browser.run("return document.querySelectorAll('#job .chart').length") >= 1, 200)
        assert browser.run("return document.querySelector('#job progress').value") > 0
        shoot(browser, "retraining")
        wait_until(lambda: browser.text("#job-state") == words["done"], 200)
        assert browser.text("#job .better") == words["promoted"].replace("{version}", "2")
        assert browser.text("#versions li:first-child .badge") == words["active"]
        shoot(browser, "retrained")

        browser.open(service.url)
        browser.choose_files("#files", pictures[0])
        wait_until(lambda: browser.text("#left") == words["left"].replace("{count}", "1"))
        again = browser.run("return document.querySelector('textarea').value")
        assert distance(again, TEXTS[0]) < distance(read, TEXTS[0])

        browser.click("#versions li:last-child button")
        wait_until(lambda: browser.text("#versions li:last-child .badge") == words["active"])
        assert service.client.get("/healthz").json()["version"] == 1
        assert browser.complaints() == []


@needs_browser
def test_nothing_is_typed_or_sent_twice_while_a_line_is_saved(service: Running, pictures: list[Path]) -> None:
    with Browser(language="en") as browser:
        browser.open(service.url)
        browser.choose_files("#files", pictures[0])
        wait_until(lambda: browser.text("#left"))
        browser.run(
            "const send = window.fetch;"
            "const later = (...a) => new Promise(done => setTimeout(() => done(send(...a)), 1500));"
            "window.sent = 0;"
            "window.fetch = (...a) => a[0] === 'api/corrections' ? (window.sent++, later(...a)) : send(...a)"
        )
        browser.run("document.querySelector('textarea').focus()")
        read = browser.run("return document.activeElement.value")
        browser.press("Enter", "x", "Enter")
        assert browser.run("return document.querySelector('textarea').value") == read
        wait_until(lambda: browser.text("#figure-corrections") == "1")
        assert browser.run("return window.sent") == 1


@needs_browser
def test_on_a_phone_in_english_nothing_overflows_and_all_has_a_name(service: Running, pictures: list[Path]) -> None:
    words = read_words()["en"]
    with Browser(phone=True, language="en") as browser:
        browser.open(service.url)
        broken = pictures[0].with_name("broken.png")
        broken.write_bytes(pictures[0].read_bytes()[:60])
        browser.choose_files("#files", pictures[0], broken)
        wait_until(lambda: browser.text(".state.failed"))
        assert browser.text(".state.failed") == "broken.png: the image is truncated or damaged"
        wait_until(lambda: browser.text("#left") == words["left"].replace("{count}", "1"))
        shoot(browser, "phone")
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
        small = browser.run(
            "return [...document.querySelectorAll('button, .button')].filter(b => b.offsetParent && "
            "b.getBoundingClientRect().height < 36).map(b => b.textContent)"
        )
        assert small == []
        nameless = browser.run(
            "return [...document.querySelectorAll('button, input, textarea, [role=img]')].filter(e => "
            "!(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length)).map(e => e.outerHTML)"
        )
        assert nameless == []
        browser.click("[data-language=vi]")
        assert browser.text("#reading-title") == read_words()["vi"]["read"]
        assert browser.run("return document.documentElement.lang") == "vi"


@needs_browser
def test_a_whole_page_becomes_its_lines_named_in_either_language(service: Running, tmp_path: Path) -> None:
    form = make_form("table", 1, rows=2)
    photo = tmp_path / "form.png"
    photo.write_bytes(encode_png(form.photo))
    words = read_words()
    with Browser(language="en") as browser:
        browser.open(service.url)
        wait_until(lambda: browser.run("return document.getElementById('whole-page').offsetParent !== null"))
        browser.click("#whole-page")
        assert browser.text("#drop-hint") == words["en"]["drop_page"]
        browser.choose_files("#files", photo)
        left = words["en"]["left"].replace("{count}", str(len(form.texts)))
        wait_until(lambda: browser.text("#left") == left)
        names = "return [...document.querySelectorAll('.name')].map(e => e.textContent)"
        assert browser.run(names) == [f"form.png, line {i + 1}" for i in range(len(form.texts))]
        shown = "return [...document.querySelectorAll('.picture img')].every(i => i.naturalWidth > 100)"
        wait_until(lambda: browser.run(shown))
        browser.click("[data-language=vi]")
        assert browser.run(names)[0] == words["vi"]["line_of_page"].format(name="form.png", number=1)
        assert browser.text("#drop-hint") == words["vi"]["drop_page"]
        assert browser.complaints() == []


@needs_browser
def test_a_token_is_asked_for_once(tmp_path: Path, tiny_bundle: Path, pictures: list[Path]) -> None:
    token = tmp_path / "token"
    token.write_text("letters of a token", encoding="utf-8")
    service = Running(tmp_path / "service", "--bundles", str(tiny_bundle), "--token-file", str(token))
    try:
        with Browser(language="en") as browser:
            browser.open(service.url)
            browser.choose_files("#files", *pictures[:2])
            wait_until(lambda: browser.run("return document.querySelectorAll('.work:not([hidden])').length") == 2)
            browser.run("document.querySelector('textarea').value = 'a'")
            browser.run("document.querySelector('textarea').focus()")
            browser.press("Enter")
            wait_until(lambda: browser.run("return document.getElementById('token-dialog').open"))
            browser.press(*"letters of a token", "Enter")
            wait_until(lambda: browser.text("#figure-corrections") == "1")
            browser.run("document.querySelector('.line:not(.saved) textarea').value = 'b'")
            browser.run("document.querySelector('.line:not(.saved) textarea').focus()")
            browser.press("Enter")
            wait_until(lambda: browser.text("#figure-corrections") == "2")
    finally:
        service.stop()
