"""Parts of HTML reports that hold everything inside one file: style, pictures of lines, charts."""

import base64
import html
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from netchu.core.errors import NetchuError
from netchu.core.files import write_text
from netchu.core.images import read_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROW, WIDEST = 44, 1000  # pixels of a line's picture
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1100px; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: 1em 0 } td, th { padding: .25em .8em; border-bottom: 1px solid #ddd }
th { text-align: left } img { max-width: 100% } .figures td { text-align: right }
.figures td:first-child { text-align: left }
.line { border-top: 1px solid #ddd; padding: .6em 0 } .line img { display: block }
.good { color: #00695c } .warning { color: #8a5a00 } .error { color: #b3261e } .about { color: #777; font-size: 12px }
.side { display: flex; flex-wrap: wrap; align-items: flex-start; gap: 0 3em }
"""


def write_html(path: Path, title: str, parts: Sequence[str]) -> None:
    """Write a report atomically; `parts` are HTML, the title is plain text."""
    head = f"<meta charset='utf-8'><title>{html.escape(title)}</title><style>{STYLE}</style>"
    body = "\n".join([f"<h1>{html.escape(title)}</h1>", *parts])
    write_text(path, f"<!doctype html><html lang='en'>{head}\n{body}\n</html>\n")


def line_picture(path: Path) -> str:
    """A line's image as an element of a report, small; nothing when it cannot be read."""
    try:
        image = read_image(path)
    except NetchuError:
        return ""
    width = min(WIDEST, max(1, round(image.shape[1] * ROW / image.shape[0])))
    small = cv2.resize(image, (width, ROW), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 75])
    return f"<img alt='' src='data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}'>"


def chart(figure: "Figure", description: str) -> str:
    """A figure as an element of a report; `description` is to those who do not see it."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f"<img alt='{html.escape(description)}' src='data:image/png;base64,{data}'>"
