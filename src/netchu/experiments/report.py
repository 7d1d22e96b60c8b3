"""One HTML report about one run or several: `netchu report outputs/b0_192_f0 [...] --out report.html`.

Everything is inside the file: curves, figures, the worst lines with their images, confusions of characters and marks,
error by length and by writer. It reads what a run leaves behind (`report.json`, `log.jsonl`, `valid.csv`) and writers
from the run's manifest, where that still is.
"""

import argparse
import html
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from netchu.core.errors import NetchuError
from netchu.core.html import chart, line_picture, write_html
from netchu.core.metrics import Scores, score_by_source
from netchu.data.frames import read_answers
from netchu.data.manifest import read_manifest
from netchu.experiments.analysis import KINDS, by_length, by_writer, confusions, count_kinds, worst
from netchu.experiments.runs import PastRun, read_run

if TYPE_CHECKING:
    import pandas as pd

WORST, CONFUSIONS, WRITERS = 30, 40, 40  # rows shown
COLOURS = ("#4477aa", "#cc3311", "#009988", "#ee7733", "#aa3377", "#777777")


def read_finished(folder: Path) -> PastRun:
    """The run of a folder; raises NetchuError when it is no run or has not come to an end."""
    run = read_run(folder)
    if run is None or not run.report:
        raise NetchuError(f"{folder}: is not the folder of a run with a report; name one such as outputs/b0_192_f0")
    return run


def answers_of(run: PastRun) -> "pd.DataFrame | None":
    """The held-out answers of a run with their `writer_id`, empty where nobody knows it; None without any."""
    if not (run.folder / "valid.csv").is_file():
        return None
    table, manifest = read_answers(run.folder / "valid.csv").assign(writer_id=""), Path(run.config["manifest"])
    if manifest.is_file():
        known = read_manifest(manifest).drop_duplicates("img_path").set_index("img_path").writer_id
        table["writer_id"] = table.img_path.map(known).fillna("")
    return table


def write_report(path: Path, runs: Sequence[PastRun]) -> None:
    """Write the report. Answers of several runs, such as the folds of one config, are taken together."""
    import pandas as pd

    tables = [table for table in map(answers_of, runs) if table is not None]
    lines = pd.concat(tables, ignore_index=True) if tables else None
    title = ", ".join(run.name for run in runs)
    parts = [_figures(runs, lines), "<h2>Course of training</h2>", _curves(runs)]
    if lines is not None:
        parts += _mistakes(lines)
    parts.append("<h2>Settings</h2>" + _settings(runs))
    write_html(path, title, parts)


def _figures(runs: Sequence[PastRun], lines: "pd.DataFrame | None") -> str:
    """Held-out scores of each run by source, and of all answers together."""
    rows = []
    for run in runs:
        held_out = run.report["held_out"]
        if held_out is None:
            rows.append(
                f"<tr><td>{html.escape(run.name)}</td><td colspan=6>{html.escape(run.report['note'])}</td></tr>"
            )
            continue
        for source, values in held_out["by_source"].items():
            epoch, minutes = held_out["epoch"], run.report["training_seconds"] / 60
            about = f"<td>{epoch}</td><td>{minutes:.0f}</td>"
            rows.append(f"<tr><td>{html.escape(f'{run.name}: {source}')}</td>{_cells(Scores(**values))}{about}</tr>")
    if len(runs) > 1 and lines is not None:
        answers, labels, sources = (lines[name].tolist() for name in ("answer", "text", "source"))
        for source, pooled in score_by_source(answers, labels, sources).items():
            rows.append(f"<tr><td><b>all: {html.escape(source)}</b></td>{_cells(pooled)}<td></td><td></td></tr>")
    heads = "".join(f"<th>{head}</th>" for head in ("run: source", *_HEADS, "best epoch", "minutes trained"))
    return f"<table class='figures'><tr>{heads}</tr>{''.join(rows)}</table>"


_HEADS = ("lines", "CER", "WER", "exact", "kalapa_score")


def _cells(scores: Scores) -> str:
    return (
        f"<td>{scores.lines}</td><td>{100 * scores.cer:.2f} %</td><td>{100 * scores.wer:.2f} %</td>"
        f"<td>{100 * scores.exact:.1f} %</td><td>{scores.kalapa_score:.4f}</td>"
    )


def _mistakes(lines: "pd.DataFrame") -> list[str]:
    """The sections on what was read wrong."""
    counts = confusions(lines)
    kinds, total = count_kinds(counts), max(1, counts.total())
    by_kind = "".join(f"<tr><td>{k}</td><td>{kinds[k]}</td><td>{100 * kinds[k] / total:.0f} %</td></tr>" for k in KINDS)
    pairs = "".join(
        f"<tr><td>{_shown(there)}</td><td>{_shown(read)}</td><td>{count}</td></tr>"
        for (there, read), count in counts.most_common(CONFUSIONS)
    )
    parts = [
        "<h2>Kinds of mistakes</h2><p>mark: the same letter with another tone, hat, horn or bar.</p><div class='side'>",
        f"<table class='figures'><tr><th>kind</th><th>edits</th><th>share</th></tr>{by_kind}</table>",
        f"<table class='figures'><tr><th>there</th><th>read</th><th>times</th></tr>{pairs}</table>",
        _table("label length", by_length(lines)),
        "</div>",
    ]
    writers = by_writer(lines)
    if writers:
        parts.append("<h2>Writers, the worst first</h2>" + _table("writer", dict(list(writers.items())[:WRITERS])))
    parts.append(f"<h2>The {WORST} worst lines</h2>")
    for line in worst(lines, WORST).itertuples():
        about = f"{line.edits} edits, confidence {line.confidence:.2f}, {line.img_path}"
        parts.append(
            f"<div class='line'>{line_picture(Path(line.img_path))}"
            f"<span class='good'>{html.escape(line.text)}</span><br>"
            f"<span class='error'>{html.escape(line.answer) or '(empty)'}</span><br>"
            f"<span class='about'>{html.escape(about)}</span></div>"
        )
    return parts


def _shown(character: str) -> str:
    return {"": "(nothing)", " ": "(space)"}.get(character, html.escape(character))


def _table(head: str, scores: dict[str, Scores]) -> str:
    """Scores by some class."""
    heads = "".join(f"<th>{name}</th>" for name in (head, *_HEADS))
    rows = "".join(f"<tr><td>{html.escape(name)}</td>{_cells(value)}</tr>" for name, value in scores.items())
    return f"<table class='figures'><tr>{heads}</tr>{rows}</table>"


def _settings(runs: Sequence[PastRun]) -> str:
    """The fields of the configs, those that differ between runs first."""
    keys = sorted(
        runs[0].report["config"], key=lambda key: len({str(run.report["config"].get(key)) for run in runs}) < 2
    )
    heads = "".join(f"<th>{html.escape(run.name)}</th>" for run in runs)
    rows = "".join(
        f"<tr><td>{key}</td>"
        + "".join(f"<td>{html.escape(str(run.report['config'].get(key)))}</td>" for run in runs)
        + "</tr>"
        for key in keys
    )
    return f"<table class='figures'><tr><th></th>{heads}</tr>{rows}</table>"


def _curves(runs: Sequence[PastRun]) -> str:
    """Loss, CER and kalapa_score over steps, a colour a run."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.4), layout="constrained")
    axes = figure.subplots(1, 3)
    for number, run in enumerate(runs):
        colour = COLOURS[number % len(COLOURS)]
        for axis, key in zip(axes, ("loss", "cer", "kalapa_score"), strict=True):
            records = [record for record in run.log if key in record]
            axis.plot(
                [r["step"] for r in records], [r[key] for r in records], color=colour, linewidth=1.2, label=run.name
            )
    for axis, name in zip(axes, ("training loss", "held-out CER", "held-out kalapa_score"), strict=True):
        axis.set(title=name, xlabel="step")
        axis.grid(alpha=0.3)
    axes[0].set_yscale("log")
    axes[0].legend()
    return chart(figure, "loss, CER and kalapa_score over steps")


def main() -> None:
    """Read the command line and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of runs, such as outputs/b0_192_f0")
    parser.add_argument("--out", type=Path, help="the file to write; default: report.html in the first run's folder")
    arguments = parser.parse_args()
    out = arguments.out or arguments.runs[0] / "report.html"
    write_report(out, [read_finished(folder) for folder in arguments.runs])
    print(f"{out}: written")
