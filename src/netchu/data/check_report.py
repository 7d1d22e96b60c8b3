"""The report of a check: one HTML file with the images inside, for people to look through."""

import html
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from netchu.core.charset import normalise, required_steps
from netchu.core.config import Config
from netchu.core.html import chart, line_picture, write_html
from netchu.data.findings import KINDS, Finding
from netchu.data.image_facts import ImageFacts, available_steps
from netchu.data.manifest import Line

SHOWN = 300  # findings of a kind with their images; the rest is counted
PICTURES = 4  # images a finding


def write_report(
    path: Path, title: str, lines: Sequence[Line], image_facts: Sequence[ImageFacts], findings: Sequence[Finding],
    cfg: Config, notes: Sequence[str],
) -> None:  # fmt: skip
    """Write the report; `notes` are sentences on what was checked and with what."""
    counts = Counter(finding.kind for finding in findings)
    parts = [
        *(f"<p>{html.escape(note)}</p>" for note in notes),
        "<table><tr><th>found</th><th>what</th><th>remedy</th></tr>",
        *(
            f"<tr class='{_class(kind, counts[kind])}'><td>{counts[kind]}</td>"
            f"<td>{_link(kind, counts[kind])}</td><td>{about.remedy}</td></tr>"
            for kind, about in KINDS.items()
        ),
        "</table>",
        f"<p>{_charts(lines, image_facts, cfg)}</p>",
    ]
    for kind, about in KINDS.items():
        chosen = [finding for finding in findings if finding.kind == kind]
        if chosen:
            parts.append(f"<h2 id='{kind}' class='{_class(kind, 1)}'>{about.title}: {len(chosen)}</h2>")
            parts += map(_finding, chosen[:SHOWN])
            if len(chosen) > SHOWN:
                parts.append(f"<p>The first {SHOWN} of {len(chosen)}.</p>")
    write_html(path, title, parts)


def _class(kind: str, count: int) -> str:
    """Colour class of a kind that was found `count` times."""
    return "good" if not count else "error" if KINDS[kind].error else "warning"


def _link(kind: str, count: int) -> str:
    """Title of a kind, linked to its section when there is one."""
    title = KINDS[kind].title
    return f"<a href='#{kind}'>{title}</a>" if count else title


def _finding(finding: Finding) -> str:
    """A finding with its first pictures and labels."""
    parts = [f"<div class='line'><b>{html.escape(finding.message)}</b>"]
    for line in finding.lines[:PICTURES]:
        about = " ".join(x for x in (line.source, f"writer {line.writer_id}" if line.writer_id else "") if x)
        parts.append(
            f"{line_picture(line.path)}<span>{html.escape(line.text)}</span> "
            f"<span class='about'>{html.escape(str(line.path))} {html.escape(about)}</span><br>"
        )
    if len(finding.lines) > PICTURES:
        parts.append(f"<span class='about'>and {len(finding.lines) - PICTURES} lines more</span>")
    return "".join(parts) + "</div>"


def _charts(lines: Sequence[Line], image_facts: Sequence[ImageFacts], cfg: Config) -> str:
    """Label lengths, and time steps that lines have against those that they need, as an image inside the report."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 3.2), layout="constrained")
    lengths, steps = figure.subplots(1, 2)
    counts = Counter(len(normalise(line.text)) for line in lines)
    lengths.bar(list(counts), list(counts.values()), width=1.0, color="#4477aa")
    lengths.set(title="label length", xlabel="characters", ylabel="lines")
    whole = [(line, facts) for line, facts in zip(lines, image_facts, strict=True) if not facts.problem]
    needed = [required_steps(line.text) for line, _ in whole]
    given = [available_steps(facts, cfg) for _, facts in whole]
    steps.scatter(needed, given, s=4, color="#009988", alpha=0.4)
    most = max([*needed, 1])
    steps.plot([0, most], [0, most], color="#cc3311", linewidth=1)
    steps.set(title=f"time steps at {cfg.height} px, width stride {cfg.width_stride}", xlabel="needed", ylabel="there")
    return chart(figure, "label lengths, and time steps needed against those there")
