"""The report of a check: one HTML file with the images inside, for people to look through."""

import base64
import html
from collections import Counter
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import cv2
import matplotlib

matplotlib.use("Agg")

from matplotlib.figure import Figure

from netchu.atomic import atomic_path
from netchu.charset import normalise, required_steps
from netchu.errors import NetchuError
from netchu.findings import KINDS, Finding
from netchu.looks import Look, available_steps
from netchu.manifest import Line
from netchu.preprocess import Geometry, read_image

SHOWN = 300  # findings of a kind with their images; the rest is counted
PICTURES = 4  # images a finding
ROW, WIDEST = 40, 900  # pixels of a picture
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1100px; padding: 0 1em; color: #222 }
table { border-collapse: collapse } td, th { padding: .25em .8em; text-align: left; border-bottom: 1px solid #ddd }
.error { color: #b3261e } .warning { color: #8a5a00 } .good { color: #00695c }
.finding { border-top: 1px solid #ddd; padding: .5em 0 } .finding img { display: block; max-width: 100% }
.path { color: #777; font-size: 12px } .label { font-size: 17px }
"""


def write_page(
    path: Path,
    title: str,
    lines: Sequence[Line],
    looks: Sequence[Look],
    findings: Sequence[Finding],
    geometry: Geometry,
    width_stride: int,
    notes: Sequence[str],
) -> None:
    """Write the report; `notes` are sentences on what was checked and with what."""
    counts = Counter(finding.kind for finding in findings)
    parts = [
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{html.escape(title)}</title>",
        f"<style>{STYLE}</style><h1>{html.escape(title)}</h1>",
        *(f"<p>{html.escape(note)}</p>" for note in notes),
        "<table><tr><th>found</th><th>what</th><th>remedy</th></tr>",
        *(
            f"<tr class='{_class(kind, counts[kind])}'><td>{counts[kind]}</td>"
            f"<td>{_link(kind, counts[kind])}</td><td>{about.remedy}</td></tr>"
            for kind, about in KINDS.items()
        ),
        "</table>",
        f"<p><img alt='distributions' src='{_charts(lines, looks, geometry, width_stride)}'></p>",
    ]
    for kind, about in KINDS.items():
        chosen = [finding for finding in findings if finding.kind == kind]
        if chosen:
            parts.append(f"<h2 id='{kind}' class='{_class(kind, 1)}'>{about.title}: {len(chosen)}</h2>")
            parts += map(_finding, chosen[:SHOWN])
            if len(chosen) > SHOWN:
                parts.append(f"<p>The first {SHOWN} of {len(chosen)}.</p>")
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(parts) + "\n</html>\n", encoding="utf-8")


def _link(kind: str, count: int) -> str:
    """Title of a kind, linked to its section when there is one."""
    title = KINDS[kind].title
    return f"<a href='#{kind}'>{title}</a>" if count else title


def _class(kind: str, count: int) -> str:
    """Colour class of a kind that was found `count` times."""
    return "good" if not count else "error" if KINDS[kind].error else "warning"


def _finding(finding: Finding) -> str:
    """A finding with its first pictures and labels."""
    parts = [f"<div class='finding'><b>{html.escape(finding.says)}</b>"]
    for line in finding.lines[:PICTURES]:
        about = " ".join(x for x in (line.source, f"writer {line.writer_id}" if line.writer_id else "") if x)
        parts.append(
            f"{_picture(line.path)}<span class='label'>{html.escape(line.text)}</span> "
            f"<span class='path'>{html.escape(str(line.path))} {html.escape(about)}</span><br>"
        )
    if len(finding.lines) > PICTURES:
        parts.append(f"<span class='path'>and {len(finding.lines) - PICTURES} lines more</span>")
    return "".join(parts) + "</div>"


def _picture(path: Path) -> str:
    """An image inside the page, or nothing when it cannot be read."""
    try:
        image = read_image(path)
    except NetchuError:
        return ""
    width = min(WIDEST, max(1, round(image.shape[1] * ROW / image.shape[0])))
    small = cv2.resize(image, (width, ROW), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 70])
    return f"<img alt='' src='data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}'>"


def _charts(lines: Sequence[Line], looks: Sequence[Look], geometry: Geometry, width_stride: int) -> str:
    """Label lengths, and time steps that lines have against those that they need, as an image inside the page."""
    figure = Figure(figsize=(10.5, 3.2), layout="constrained")
    lengths, steps = figure.subplots(1, 2)
    counts = Counter(len(normalise(line.text)) for line in lines)
    lengths.bar(list(counts), list(counts.values()), width=1.0, color="#4477aa")
    lengths.set(title="label length", xlabel="characters", ylabel="lines")
    whole = [(line, look) for line, look in zip(lines, looks, strict=True) if not look.problem]
    needed = [required_steps(line.text) for line, _ in whole]
    given = [available_steps(look, geometry, width_stride) for _, look in whole]
    steps.scatter(needed, given, s=4, color="#009988", alpha=0.4)
    most = max([*needed, 1])
    steps.plot([0, most], [0, most], color="#cc3311", linewidth=1)
    steps.set(title=f"time steps at {geometry.height} px, width stride {width_stride}", xlabel="needed", ylabel="there")
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
