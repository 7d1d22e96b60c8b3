"""One HTML report about one run or several: `netchu report outputs/b0_192_f0 [...] --out report.html`.

Everything is inside the file: curves, figures, the worst lines with their images, confusions of characters and marks,
error by length and by writer. It reads what a run leaves behind (`report.json`, `log.jsonl`, `valid.csv`) and writers
from the run's manifest, where that still is.
"""

import argparse
import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netchu.core.errors import NetchuError
from netchu.core.html import chart, line_picture, write_html
from netchu.core.metrics import Scores, score_by_source
from netchu.core.options import new_file, refuse_overwriting
from netchu.data.frames import read_answers
from netchu.data.manifest import read_manifest
from netchu.experiments.analysis import KINDS, by_length, by_writer, confusions, count_kinds, worst
from netchu.experiments.runs import PastRun, read_run

if TYPE_CHECKING:
    import pandas as pd

WORST, CONFUSIONS, WRITERS = 30, 40, 40  # rows shown
HEADS = ("lines", "CER", "WER", "exact", "kalapa_score")  # of Scores.cells
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
    table = read_answers(run.folder / "valid.csv").assign(writer_id="")
    manifest = Path(run.report["config"]["manifest"])
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


def _table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table of figures; its cells are HTML."""
    cells = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table class='figures'><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{cells}</table>"


def _scores(head: str, scores: dict[str, Scores]) -> str:
    """A table of scores by some class."""
    return _table((head, *HEADS), ([html.escape(name), *value.cells()] for name, value in scores.items()))


def _figures(runs: Sequence[PastRun], lines: "pd.DataFrame | None") -> str:
    """Held-out scores of each run by source, and of all answers together."""
    rows: list[list[str]] = []
    for run in runs:
        held_out = run.report["held_out"]
        if held_out is None:
            rows.append([html.escape(f"{run.name}: {run.report['note']}")])
            continue
        about = [str(held_out["epoch"]), f"{run.report['training_seconds'] / 60:.0f}"]
        for source, values in held_out["by_source"].items():
            rows.append([html.escape(f"{run.name}: {source}"), *Scores(**values).cells(), *about])
    if len(runs) > 1 and lines is not None:
        answers, labels, sources = (lines[name].tolist() for name in ("answer", "text", "source"))
        for source, pooled in score_by_source(answers, labels, sources).items():
            rows.append([f"<b>all: {html.escape(source)}</b>", *pooled.cells(), "", ""])
    return _table(("run: source", *HEADS, "best epoch", "minutes trained"), rows)


def _mistakes(lines: "pd.DataFrame") -> list[str]:
    """The sections on what was read wrong."""
    counts = confusions(lines)
    kinds, total = count_kinds(counts), max(1, counts.total())
    by_kind = [(kind, kinds[kind], f"{100 * kinds[kind] / total:.0f} %") for kind in KINDS]
    pairs = [(_shown(there), _shown(read), count) for (there, read), count in counts.most_common(CONFUSIONS)]
    parts = [
        "<h2>Kinds of mistakes</h2><p>mark: the same letter with another tone, hat, horn or bar.</p><div class='side'>",
        _table(("kind", "edits", "share"), by_kind),
        _table(("there", "read", "times"), pairs),
        _scores("label length", by_length(lines)),
        "</div>",
    ]
    writers = by_writer(lines)
    if writers:
        parts.append("<h2>Writers, the worst first</h2>" + _scores("writer", dict(list(writers.items())[:WRITERS])))
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


def _settings(runs: Sequence[PastRun]) -> str:
    """The fields of the configs, those that differ between runs first."""
    configs = [run.report["config"] for run in runs]
    keys = sorted(configs[0], key=lambda key: len({str(config.get(key)) for config in configs}) < 2)
    rows = ([key, *(html.escape(str(config.get(key))) for config in configs)] for key in keys)
    return _table(["", *(html.escape(run.name) for run in runs)], rows)


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
    parser.add_argument("--out", type=new_file, metavar="FILE", help="default: report.html in the first run's folder")
    arguments = parser.parse_args()
    out = arguments.out or arguments.runs[0] / "report.html"
    refuse_overwriting([out], arguments.runs)
    write_report(out, [read_finished(folder) for folder in arguments.runs])
    print(f"{out}: written")
