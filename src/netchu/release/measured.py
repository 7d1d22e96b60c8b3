"""The figures of a release's model card: from the recipe, whose they are, and the commands that print them again."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netchu.core.config import ALL_DATA_FOLD, DEFAULTS, OF_RUN, MachineFields, differing, marked, names
from netchu.core.metrics import Scores, score_table

NAMED = {"nested": "nested over writers", "chosen_on": "the lines that chose it"}  # figures of a recipe
FIGURES = """Out of fold: every line was read by bundles that were trained without its fold. {lines}

{table}

Nested: each part of the writers is read with the members and settings that the other parts chose; it is the figure to
expect on new writers. The other row is a little too good. {whose}

Printed by (first what every run says of the lines that it held out):

```
{commands}
```"""


@dataclass(frozen=True, slots=True)
class ReleasedBundle:
    """A bundle of a release: its file, its metadata, those of the bundle that the figures were measured with, and the
    stretches that it reads lines at."""

    file: Path
    about: dict[str, Any]
    measured: dict[str, Any]
    stretches: tuple[float, ...] = (1.0,)

    @property
    def is_refit(self) -> bool:
        """Whether another bundle was measured."""
        return bool(self.about["hashes"]["weights"] != self.measured["hashes"]["weights"])


def describe_figures(measured: dict[str, Any], bundles: Sequence[ReleasedBundle]) -> str:
    """Markdown of a recipe's figures; says so when nothing was measured."""
    figures = {title: measured[key] for key, title in NAMED.items() if key in measured}
    if not figures:
        return "Not measured."
    figures |= {f"nested, {source} alone": own for source, own in measured.get("nested_by_source", {}).items()}
    said = []
    if "sources" in measured:
        counts = ", ".join(f"{count} of {name}" for name, count in measured["sources"].items())
        said.append(f"Lines: {counts}; folds {', '.join(map(str, measured['folds']))}.")
    if "seconds_a_line" in measured:
        said.append(f"{1e3 * measured['seconds_a_line']:.0f} ms a line, one at a time, on the machine that selected.")
    if "accepted_share" in measured:
        said.append(f"{100 * measured['accepted_share']:.1f} % of the lines are so sure that 99 % of them are exact.")
    folds = measured.get("folds") or [bundle.measured["config"]["fold"] for bundle in bundles[:1]]
    command = measured.get("command", "")
    commands = [
        *dict.fromkeys(
            f"netchu oof {run}/best.safetensors --manifest data/train_folds.csv --stretch {stretch:g} "
            f"--out {run}/oof_{stretch:g}.npz"
            for bundle in bundles
            for fold in folds
            for run in [re.sub(r"_f\d$", f"_f{fold}", _run_folder(command, bundle.measured["config"]["name"]))]
            for stretch in bundle.stretches
        ),
        command or "netchu select --oof RUN [RUN ...] --language FILE --places FILE",
    ]
    return FIGURES.format(
        lines=" ".join(said),
        table=score_table({name: Scores(**own) for name, own in figures.items()}),
        whose=_whose(bundles, len(folds)),
        commands="\n".join(commands),
    )


def _run_folder(command: str, run: str) -> str:
    """The folder of a run as the command of the selection names it; one of `outputs/` where it does not."""
    named = re.search(rf"(?<=[ =,])[^ =,]+/{re.escape(run)}(?=[/ ])", command)
    return named[0] if named else f"outputs/{run}"


def _whose(bundles: Sequence[ReleasedBundle], folds: int) -> str:
    """Which bundles the figures belong to."""
    refits = [bundle for bundle in bundles if bundle.is_refit]
    same = [f"`{bundle.file.name}`" for bundle in bundles if not bundle.is_refit]
    parts = []
    if refits:
        parts.append(
            f"They are not figures of {'; '.join(map(_refit, refits))}, but of the runs named in brackets, "
            "which were trained without the fold that they read."
        )
    seen = [f"`{bundle.file.name}`" for bundle in refits if bundle.about["config"]["fold"] == ALL_DATA_FOLD]
    if seen:
        parts.append(f"Every line was learnt from for {', '.join(seen)}, so none is left to measure that on.")
    if same:
        rest = " for the fold that it held out; runs of the same config read the other folds" if folds > 1 else ""
        parts.append(f"Released as measured{rest}: {', '.join(same)}.")
    return " ".join(parts)


def _refit(bundle: ReleasedBundle) -> str:
    """The released file, the run that was measured, and what else than the fold differed in its training."""
    old, new = bundle.measured["config"], bundle.about["config"]
    other = differing(old, new, DEFAULTS.keys() - names(MachineFields) - marked(OF_RUN) - {"name"})
    return f"`{bundle.file.name}` (measured: {old['name']}{', other ' if other else ''}{', '.join(other)})"
