"""Members compete on out-of-fold lines: gather what they say, search within the limits, print, write ensemble.json."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from netchu.core.budget import MEGABYTE, measure
from netchu.core.charset import Charset
from netchu.core.errors import NetchuError
from netchu.core.metrics import score_by_source
from netchu.ctc.best_path import best_path
from netchu.ctc.likelihood import LogProbs
from netchu.data.frames import write_frame
from netchu.language.fusion import LanguageScorer
from netchu.language.gazetteer import Gazetteer, read_places
from netchu.language.ngram import NGram, load_ngram
from netchu.reading.candidates import Candidates, Floats, gather, likelihood_of
from netchu.reading.combination import APART, average_frames, spike_offset
from netchu.reading.confidence import measure_coverage
from netchu.reading.line_reader import Settings, build_scorer
from netchu.reading.recipe import Recipe, write_recipe
from netchu.selection.cascade import choose_cascade
from netchu.selection.decoder_tuning import ScoredLine, evaluate, gain, scored, tune
from netchu.selection.members import Member, align, positions_of, read_member, time_members
from netchu.selection.out_of_fold import OutOfFold
from netchu.selection.search import Choice, Judged, Limits, choose, cross_tuned, nested, pareto, part_writers
from netchu.selection.selection_table import about, selection_rows, selection_table_path

SHOWN = 12  # rows of the printed table
RECIPE_BYTES = 10_000  # set aside for ensemble.json itself


def gather_lines(
    members: Sequence[Member],
    settings: Settings,
    scorers: Mapping[int, LanguageScorer | None],
    gazetteer: Gazetteer | None,
    weights: Sequence[float] | None = None,
) -> tuple[list[ScoredLine], float]:
    """(lines with all candidates, seconds a line and member that decoding took). `scorers`: by fold."""
    first = members[0].oof
    lines = []
    began = time.perf_counter()
    for i in tqdm(range(len(first.ids)), unit="line", desc="decoding"):
        outputs = [m.oof.log_probs[i] for m in members]
        if settings.combination == "frame":
            positions = [positions_of(m.oof, i) for m in members]
            outputs = [average_frames(outputs, positions, kind=settings.average, weights=weights)]
        candidates = gather(
            outputs, first.charset, scorer=scorers[first.folds[i]], gazetteer=gazetteer, decoder=settings.decoder,
            width=settings.width, best=settings.best,
        )  # fmt: skip
        lines.append(scored(_with_paths(candidates, outputs, first.charset), first.texts[i], first.writers[i]))
    return lines, (time.perf_counter() - began) / max(1, len(lines)) / len(members)


def _with_paths(candidates: Candidates, outputs: Sequence[LogProbs], charset: Charset) -> Candidates:
    """The candidates with what each member's best path says."""
    space = charset.space
    paths = [best_path(output).stripped(space) for output in outputs]
    return replace(
        candidates,
        greedy=tuple(charset.decode(path.classes.tolist()) for path in paths),
        clearness=tuple(likelihood_of(output, path) for output, path in zip(outputs, paths, strict=True)),
    )


def choose_scorers(
    oof: OutOfFold, language: NGram | None, held_out: Sequence[NGram], settings: Settings
) -> dict[int, LanguageScorer | None]:
    """For each fold a scorer whose model has not seen its labels; raises NetchuError when there is none."""
    scorers = {}
    for fold in sorted(set(oof.folds)):
        models = [model for model in (language, *held_out) if model is not None and fold not in model.folds]
        if language is not None and not models:
            raise NetchuError(
                f"--language was trained on labels of fold {fold}, which is measured here; give a model trained with "
                f"--fold {fold} as --held-out-language"
            )
        best = max(models, key=lambda model: len(model.folds)) if models else None
        scorers[fold] = build_scorer(best, oof.charset, settings)
    return scorers


def open_members(
    arguments: Sequence[str], language: Path | None, held_out: Sequence[Path]
) -> tuple[list[Member], Settings, dict[int, LanguageScorer | None]]:
    """(members with their common lines, settings to begin with, scorers by fold) of the command line's words."""
    if held_out and not language:
        raise NetchuError(
            "--held-out-language: is used for measuring alone; name the --language that will be read with"
        )
    members, settings = align([read_member(argument) for argument in arguments]), Settings(decoder="beam")
    model = load_ngram(language) if language else None
    others = [load_ngram(path) for path in held_out]
    return members, settings, choose_scorers(members[0].oof, model, others, settings)


def select_ensemble(
    arguments: Sequence[str],
    out: Path,
    *,
    budget_mb: float,
    time_s: float,
    language: Path | None = None,
    held_out: Sequence[Path] = (),
    places: Path | None = None,
    parts: int = 5,
    command: str = "",
) -> Recipe:
    """Choose, print the table and what was chosen, write the recipe and beside it what was tried (`choices`).

    `command`: what the recipe says that its figures were printed by. Raises NetchuError when nothing fits.
    """
    members, start, scorers = open_members(arguments, language, held_out)
    oof, gazetteer = members[0].oof, read_places(places) if places else None
    lines, decoding = gather_lines(members, start, scorers, gazetteer)
    limits = Limits(
        sizes=tuple(member.bundle.stat().st_size for member in members),
        files=tuple(str(member.bundle.resolve()) for member in members),
        seconds=tuple(seconds + decoding for seconds in time_members(members)),
        max_bytes=budget_mb * MEGABYTE,
        max_seconds=time_s,
        fixed=sum(measure([p for p in (language, places) if p]).values()) + RECIPE_BYTES,
    )
    alone = [Choice(tuple(np.eye(len(members))[i].tolist()), 0.0) for i in range(len(members))]
    names = [member.oof.name for member in members]
    print(table("members", alone, names, lines, limits, start))
    found, settings = choose(lines, limits, start)
    if not found:
        raise NetchuError(
            f"no member fits {budget_mb:g} MB and {time_s:g} s a line (table above); raise --budget-mb or --time-s, "
            "or make int8 copies"
        )
    front = pareto(found, lambda c: (limits.bytes_of(c.weights), limits.seconds_of(c.weights)), lambda c: -c.gain)
    print(table("choices that no cheaper one beats", front[-SHOWN:], names, lines, limits, settings))
    tried = selection_rows(found, alone, names, lines, limits, settings)
    weights = np.array(found[0].weights)
    used = sorted(np.flatnonzero(weights > 0).tolist(), key=lambda i: -weights[i])
    settings = tune(lines, weights, settings)
    framed, averaged = _try_frames([members[i] for i in used], lines, weights, settings, scorers, gazetteer)
    if framed:
        settings = averaged
        honest = cross_tuned(framed, np.ones(1), replace(start, combination="frame"), parts)
        judged = _judge(framed, np.ones(1), settings, honest)
    else:
        cascade = choose_cascade(
            lines, used, weights, settings, parts,
            costs=[seconds - decoding for seconds in limits.seconds], decoding=decoding, widths=oof.widths,
        )  # fmt: skip
        used, (clear, sure) = cascade.order, cascade.thresholds
        settings = replace(settings, clear=clear, sure=sure)
        honest = nested(lines, limits, start, parts)
        asked = cascade.measured()
        shares = ", ".join(f"{100 * share:.0f} %" for share in asked["done_at"])
        print(
            f"asked in order: {', '.join(names[i] for i in used)}\n"
            f"done at the best path and the decoding of each: {shares}; a line takes {1e3 * asked['mean_s']:.1f} ms, "
            f"95th percentile {1e3 * asked['p95_s']:.1f}; kalapa_score lost {cascade.lost:.4f}\n"
            f"nested, all asked:           {honest.scores}"
        )
        judged = _judge(lines, weights, settings, cascade.judged(lines, honest))
        judged["measured"] |= {"cascade": asked, "nested_all_asked": honest.scores.to_dict()}
    judged["measured"] |= {**_origin(oof), "seconds_a_line": limits.seconds_of(weights), "command": command}
    recipe = Recipe(
        bundles=tuple(members[i].bundle for i in used),
        stretches=tuple(members[i].oof.geometry.stretch for i in used),
        weights=tuple(float(weights[i]) for i in used),
        settings=settings,
        language=language,
        places=places,
        **judged,
    )
    write_recipe(out, recipe)
    write_frame(selection_table_path(out), tried)
    total = (limits.bytes_of(weights) - RECIPE_BYTES + out.stat().st_size) / MEGABYTE
    speed = 1e3 * limits.seconds_of(weights)
    print(f"{out}: {len(used)} members, {settings.combination}, {total:.3f} of {budget_mb:g} MB, {speed:.0f} ms a line")
    return recipe


def _origin(oof: OutOfFold) -> dict[str, Any]:
    """Which lines the figures are of: how many of each source, how many writers, which folds."""
    sources = Counter(name.partition(":")[0] for name in oof.ids)
    return {"sources": dict(sources), "writers": len(set(oof.writers)), "folds": sorted(set(oof.folds))}


def describe_offset(members: Sequence[Member]) -> str:
    """How far apart the members' spikes stand, in frames, over all lines that they read alike; 0 when there is none."""
    offsets = [
        spike_offset([m.oof.log_probs[i] for m in members], [positions_of(m.oof, i) for m in members])
        for i in range(len(members[0].oof.ids))
    ]
    apart = np.mean([x for x in offsets if x is not None] or [0.0])
    return f"spikes stand {apart:.2f} frames apart{'; too far for averaging frames' if apart > APART else ''}"


def table(
    title: str, choices: Sequence[Choice], names: Sequence[str], lines: Sequence[ScoredLine], limits: Limits,
    settings: Settings,
) -> str:  # fmt: skip
    """Choices with what they cost and how they read these lines, one a row; `names`: of the members."""
    rows = [f"{title}:", f"{'MB':>8}{'ms/line':>9}{'CER %':>8}{'exact %':>9}{'kalapa':>9}  members"]
    for row in (about(choice, names, lines, limits, settings) for choice in choices):
        rows.append(
            f"{row['mb']:8.3f}{row['ms_a_line']:9.1f}{100 * row['cer']:8.2f}{100 * row['exact']:9.1f}"
            f"{row['kalapa_score']:9.4f}  {row['members']}{'' if row['fits'] else '  (over the limits)'}"
        )
    return "\n".join(rows)


def _try_frames(
    members: Sequence[Member],
    lines: Sequence[ScoredLine],
    weights: Floats,
    settings: Settings,
    scorers: Mapping[int, LanguageScorer | None],
    gazetteer: Gazetteer | None,
) -> tuple[list[ScoredLine], Settings]:
    """(lines, settings) for averaging frames instead, when that reads better, else no lines; prints both figures."""
    if len(members) < 2:
        return [], settings
    averaged = replace(settings, combination="frame")
    shares = sorted((float(w) for w in weights if w > 0), reverse=True)  # the members come in this order
    framed, _ = gather_lines(members, averaged, scorers, gazetteer, shares)
    one = np.ones(1)
    averaged = tune(framed, one, averaged)
    print(f"rescore: {evaluate(lines, weights, settings)}\nframe:   {evaluate(framed, one, averaged)}")
    print(describe_offset(members))
    better = gain(framed, one, averaged) > gain(lines, weights, settings)
    return (framed, averaged) if better else ([], settings)


def _judge(lines: Sequence[ScoredLine], weights: Floats, settings: Settings, honest: Judged) -> dict[str, Any]:
    """What the recipe says of itself: figures on the lines that chose it, and honest ones; prints them."""
    scores = evaluate(lines, weights, settings)
    coverage = measure_coverage(honest.sure, honest.right)
    sources = [line.writer.partition("/")[0] for line in lines]  # a writer is named source/writer
    by_source = score_by_source(honest.answers, [line.label for line in lines], sources)
    accept, share = coverage.accept()
    accepted = accepted_by_source(lines, honest, sources)
    print(f"on the lines that chose it: {scores}\nnested over writers:        {honest.scores}")
    for source, part in by_source.items() if len(by_source) > 1 else ():
        print(f"{'  of them ' + source:28}{part}")
    print(f"{coverage.table()}\naccepting 99 % exact: confidence {accept:.4f} and above, {100 * share:.1f} % of lines")
    for source, (taken, exact) in accepted.items():
        print(f"  found on other writers: {100 * taken:.1f} % of {source} accepted, {100 * exact:.1f} % of them exact")
    measured = {"chosen_on": scores.to_dict(), "nested": honest.scores.to_dict(), "accepted_share": share}
    measured["nested_by_source"] = {source: part.to_dict() for source, part in by_source.items()}
    measured["accepted_by_source"] = {s: {"share": taken, "exact": exact} for s, (taken, exact) in accepted.items()}
    return {"accept": accept if np.isfinite(accept) else None, "measured": measured}


def accepted_by_source(
    lines: Sequence[ScoredLine], honest: Judged, sources: Sequence[str], parts: int = 10
) -> dict[str, tuple[float, float]]:
    """By source: the share of lines accepted, and the share of exact ones among them, when each part of the writers is
    accepted from the confidence on that the others' lines found."""
    part = part_writers(lines, parts)
    sure, right, taken = np.array(honest.sure), np.array(honest.right), np.zeros(len(lines), bool)
    for held in set(part.tolist()):
        others = part != held
        if others.any():
            taken |= ~others & (sure >= measure_coverage(sure[others].tolist(), right[others].tolist()).accept()[0])
    own = {source: np.array([s == source for s in sources]) for source in dict.fromkeys(sources)}
    return {s: (float(taken[m].mean()), float(right[m & taken].mean()) if (m & taken).any() else 1.0)
            for s, m in own.items()}  # fmt: skip
