"""Every way of decoding and combining, side by side on out-of-fold lines, one step more in each row.

Weights are tuned on some writers' lines and read on the others'. Milliseconds are processor time of decoding one line.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from netchu.core.metrics import Scores
from netchu.language.fusion import LanguageScorer
from netchu.language.gazetteer import Gazetteer, read_places
from netchu.reading.line_reader import Settings
from netchu.selection.members import Member
from netchu.selection.search import cross_tuned
from netchu.selection.select_ensemble import describe_offset, gather_lines, open_members


def compare(
    arguments: Sequence[str],
    *,
    language: Path | None = None,
    held_out: Sequence[Path] = (),
    places: Path | None = None,
    parts: int = 2,
) -> None:
    """Print the table; members as in `select_ensemble`."""
    members, settings, scorers = open_members(arguments, language, held_out)
    print(f"{len(members[0].oof.ids)} lines, tuned and read on different writers in {parts} parts")
    print(f"{'':34}{'ms':>7}{'CER %':>8}{'exact %':>9}{'kalapa':>9}")
    teams = [([member], "single") for member in members]
    if len(members) > 1:
        teams += [(members, "frame"), (members, "rescore")]
        print(describe_offset(members))
    for team, combination in teams:
        name = team[0].oof.name if combination == "single" else f"{len(team)} members, {combination}"
        kind = replace(settings, combination="rescore" if combination == "single" else combination)
        for step, milliseconds, scores in _steps(team, kind, scorers, places, parts):
            print(
                f"{name + ', ' + step:34}{milliseconds:7.1f}{100 * scores.cer:8.2f}{100 * scores.exact:9.1f}"
                f"{scores.kalapa_score:9.4f}",
                flush=True,
            )


def _steps(
    team: Sequence[Member],
    settings: Settings,
    scorers: Mapping[int, LanguageScorer | None],
    places: Path | None,
    parts: int,
) -> Iterator[tuple[str, float, Scores]]:
    """(what is added, processor milliseconds a line, scores) of each step for one team."""
    none: dict[int, LanguageScorer | None] = dict.fromkeys(scorers)
    weights = np.full(1 if settings.combination == "frame" else len(team), 1.0)
    weights /= weights.sum()
    steps: list[tuple[str, Settings, Mapping[int, LanguageScorer | None], Gazetteer | None]]
    steps = [("greedy", replace(settings, decoder="greedy"), none, None), ("beam", settings, none, None)]
    if any(scorers.values()):
        steps.append(("+ n-gram", settings, scorers, None))
    if places:
        steps.append(("+ gazetteer", settings, scorers, read_places(places)))
    for name, changed, language, gazetteer in steps:
        began = time.process_time()
        lines, _ = gather_lines(team, changed, language, gazetteer)
        spent = 1e3 * (time.process_time() - began) / len(lines)
        yield name, spent, cross_tuned(lines, weights, changed, parts)[0]
