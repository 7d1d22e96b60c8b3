"""A retraining: its plan, its lines, the fine-tuning of its members, and whether the new recipe may serve.

A retraining fine-tunes one member of the serving recipe, or all of them; the others, the weights and the settings stay,
unless the corrections show that the labels are now written otherwise than by the recipe's convention.
The corrections are frozen into the job's own manifest at its first start, with their pictures, so a job that goes on
later trains on the same lines, whatever was deleted meanwhile. Held out are the corrections marked so and, with a base
manifest, the fold that the member never saw; of a member that was trained on every fold only the corrections. These
lines are read with the whole recipe before and after.

It runs in a process of its own: python -m netchu.serve.retraining FOLDER. FOLDER/job.json says what to do (see
`RetrainingPlan`); FOLDER/ensemble.json, the new recipe, and FOLDER/report.json are what it makes. Started again after
any end, it goes on where it was. It stops, with its state saved, when its standard input closes: so it never outlives
the service that started it. Exit status 3: stopped on request.
"""

import argparse
import math
import os
import shutil
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from netchu.core.charset import Charset
from netchu.core.config import ALL_DATA_FOLD, Config, from_dict
from netchu.core.errors import NetchuError, StoppedError, run_main
from netchu.core.files import file_lock, read_log, write_json, writing
from netchu.core.images import read_image
from netchu.core.metrics import score
from netchu.ctc.decoders import Reading
from netchu.data.label_files import read_json
from netchu.data.manifest import TRAIN_ONLY, Line, read_lines, split, write_manifest
from netchu.language.conventions import CONVENTIONS
from netchu.model.bundle_file import read_arrays
from netchu.reading.confidence import measure_coverage
from netchu.reading.ensemble import Ensemble
from netchu.reading.recipe import Recipe, read_recipe, write_recipe
from netchu.serve.samples import read_sidecar
from netchu.serve.uploads import content_id

SOURCE = "corrections"
PICTURES = "pictures"  # folder of a job: of the corrections that it learns from
MOST_COPIES = 10  # of a correction in the manifest
CORRECTED_SHARE = 0.25  # of the training lines, as far as MOST_COPIES allows
MOST_LINES = 4000  # an epoch
SLOWER = 0.1  # learning rate, as a share of the one that the member was trained with
LEAST_RATE = 1e-4  # under which no retraining slows down further
BROKEN = 0.1  # share of the corrections against a convention that ends it
MOST_VALIDATIONS = 12  # of a member
EVERY_MEMBER = "all"
LEAST_HELD_OUT = 30  # lines under which nothing is promoted by itself
FIND_THRESHOLD = 100  # held-out lines from which on a lost threshold is found again
READ_AT_ONCE = 256  # lines
STOPPED = 3  # exit status
BUSY = 60  # seconds to wait for an earlier process of the same job


@dataclass(frozen=True, kw_only=True, slots=True)
class RetrainingPlan:
    """What a job does. `recipe`: the version's ensemble.json; `members`: which of it are fine-tuned, from 0 on; `base`:
    a manifest that is mixed in against forgetting, or empty; `lr` 0: chosen here; `least_held_out`: lines under which
    a person decides."""

    recipe: str
    members: list[int]
    samples: str
    base: str = ""
    epochs: int = 6
    lr: float = 0.0
    threads: int = 0
    least_held_out: int = LEAST_HELD_OUT


def read_plan(folder: Path) -> RetrainingPlan:
    """The plan of a job's folder."""
    return RetrainingPlan(**read_json(folder / "job.json"))


def choose_members(recipe: Recipe, wanted: str) -> list[int]:
    """Members to fine-tune, from 0 on: the one with the largest weight, number `wanted` (from 1 on), or all.

    A bundle that reads at several stretches is fine-tuned once. Raises NetchuError when there is none of that number.
    """
    count = len(recipe.bundles)
    if wanted == EVERY_MEMBER:
        return [i for i, path in enumerate(recipe.bundles) if path not in recipe.bundles[:i]]
    if not wanted:
        weights = [
            sum(w for w, b in zip(recipe.weights, recipe.bundles, strict=True) if b == x) for x in recipe.bundles
        ]
        return [weights.index(max(weights))]
    if not wanted.isdecimal() or not 1 <= int(wanted) <= count:
        raise NetchuError(f"--member {wanted}: expected a number from 1 to {count}, or {EVERY_MEMBER}")
    return [int(wanted) - 1]


def held_out_fold(cfg: Config) -> int:
    """The fold that a member never trained on; for one that trained on everything fold 0, for corrections alone."""
    return 0 if cfg.fold == ALL_DATA_FOLD else cfg.fold


def read_samples(folder: Path, fold: int) -> list[Line]:
    """Checked lines of the samples folder in the order of their numbers; those held out get `fold`, the others none."""
    facts = []
    for path in folder.glob("*/[!.]*.json"):
        with suppress(FileNotFoundError):  # deleted meanwhile
            facts.append(read_sidecar(path) | {"path": path})
    return [
        Line(
            path=Path(fact["path"]).with_suffix(".png"),
            text=fact["text"],
            fold=fold if fact["held_out"] else TRAIN_ONLY,
            source=SOURCE,
        )
        for fact in sorted(facts, key=lambda fact: int(fact["number"]))
        if fact["checked"]
    ]


def hold_pictures(folder: Path, lines: Sequence[Line]) -> list[Line]:
    """The lines with pictures of their own in a folder, which stay when their samples are deleted; a line whose
    picture is gone already is left out. Raises NetchuError when nothing can be written."""
    shutil.rmtree(folder, ignore_errors=True)  # of a start that was broken off
    held = []
    with writing(folder, "free some space"):
        folder.mkdir(parents=True)
        for line in lines:
            own = folder / line.path.name
            try:
                own.hardlink_to(line.path)
            except OSError:  # no such sample any more, or no such links on this disk
                if not line.path.is_file():
                    continue
                shutil.copyfile(line.path, own)
            held.append(replace(line, path=own))
    return held


def put_corrections(base: Sequence[Line], corrected: Sequence[Line]) -> tuple[list[Line], list[Line]]:
    """(base lines, corrections) with each picture in one of them only: a correction of a base line, in whatever image
    format it came, takes that line's place and its fold."""
    pictures = {line.path.stem for line in corrected}  # samples are named by their content
    places: dict[str, int] = {}
    kept = []
    for line in base:
        key = content_id(read_image(line.path, page=True)) if line.is_real and pictures else ""  # as uploads are read
        if key in pictures:
            places[key] = line.fold
        else:
            kept.append(line)
    return kept, [replace(line, fold=places.get(line.path.stem, line.fold)) for line in corrected]


def freeze_manifest(
    folder: Path, plan: RetrainingPlan, charset: Charset, fold: int, *, grows: bool, knows_all: bool = False
) -> None:
    """Write the job's manifest: base lines, and the corrections repeated up to a quarter of the training lines.

    A member that `knows_all` folds can be judged by corrections alone, so the base lines are then only trained on.
    A synthetic line that is neither trained on nor held out carries the version's charset, so that no character is
    forgotten. Unless the charset `grows` with the corrections (members must share one), lines with other characters
    are left out, counted in `left_out.json`. Raises NetchuError when there is nothing to train on or nothing held out.
    """
    base = read_lines(Path(plan.base)) if plan.base else []
    if knows_all:
        base = [replace(line, fold=TRAIN_ONLY) for line in base]
    samples = hold_pictures(folder / PICTURES, read_samples(Path(plan.samples), fold))
    base, corrected = put_corrections(base, samples)
    strange = [] if grows else [line for line in corrected if charset.count_unknown([line.text])]
    characters = "".join(sorted(charset.count_unknown(line.text for line in strange)))
    write_json(folder / "left_out.json", {"lines": len(strange), "characters": characters})
    if not grows:
        base, corrected = ([x for x in lines if not charset.count_unknown([x.text])] for lines in (base, corrected))
    train, held_out = split([*base, *corrected], fold)
    fresh = [line for line in corrected if line.fold != fold]
    if not fresh or not held_out:
        raise NetchuError(
            f"{plan.samples}: {len(corrected)} corrections are too few; every fifth is held out, so correct 5 or more"
        )
    wanted = CORRECTED_SHARE / (1 - CORRECTED_SHARE) * (len(train) - len(fresh))
    copies = max(1, min(MOST_COPIES, round(wanted / len(fresh))))
    anchor = next(c for c in charset.characters if not c.isspace())
    carrier = Line(fresh[0].path, f"{anchor}{charset.characters}{anchor}", fold=fold, source="charset", aug="charset")
    write_manifest(folder / "manifest.csv", [*base, *corrected, *(fresh * (copies - 1)), carrier])


def member_config(folder: Path, plan: RetrainingPlan, member: int, bundle: Path, fold: int) -> Config:
    """The fine-tuning run of one member, from the config in its bundle."""
    _, about = read_arrays(bundle)
    cfg = from_dict(about["config"], str(bundle))
    train, _ = split(read_lines(folder / "manifest.csv"), fold)
    return replace(
        cfg,
        name=f"member{member}",
        manifest=str(folder / "manifest.csv"),
        fold=fold,
        load_weight=str(bundle.resolve()),
        pretrained=False,
        epochs=plan.epochs,
        lr=plan.lr or min(cfg.lr, max(cfg.lr * SLOWER, LEAST_RATE)),
        warmup=0.1,
        epoch_lines=min(len(train), MOST_LINES),
        validate_every=math.ceil(plan.epochs / MOST_VALIDATIONS),
        workers=0,
        threads=plan.threads,
        cache_mb=min(cfg.cache_mb, 1024),
        synthetic_source="",
        trackers="none",
        output_dir=str(folder),
    )


def replace_members(recipe: Recipe, new: dict[int, Path]) -> Recipe:
    """The recipe with other bundles for those of some members, wherever these bundles stand."""
    by_path = {recipe.bundles[i]: path for i, path in new.items()}
    return replace(recipe, bundles=tuple(by_path.get(path, path) for path in recipe.bundles), path=None)


def follow_corrections(recipe: Recipe, texts: Sequence[str]) -> Recipe:
    """The recipe, without its labels' convention when more than `BROKEN` of the corrected texts are against it."""
    write = CONVENTIONS[recipe.settings.convention]
    if sum(write(text) != text for text in texts) <= BROKEN * len(texts):
        return recipe
    return replace(recipe, settings=replace(recipe.settings, convention="none"), path=None)


def read_progress(folder: Path) -> dict[str, Any]:
    """How far a job is: `done` from 0 to 1, `loss` as [step, value] pairs and the held-out `scores` of each epoch.

    Members follow one another; steps count on from one to the next. A job without a plan has done nothing.
    """
    members = read_plan(folder).members if (folder / "job.json").is_file() else []
    loss: list[list[float]] = []
    scores: list[dict[str, float]] = []
    done = 0.0
    for member in members:
        length, log = folder / f"member{member}.json", folder / f"member{member}" / "log.jsonl"
        if not length.is_file() or not log.is_file():
            break
        records = read_log(log)
        offset = scores[-1]["step"] if scores else 0
        for record in records:
            if "loss" in record:
                loss.append([offset + record["step"], round(record["loss"], 4)])
            if "cer" in record:
                scores.append(
                    {key: record[key] for key in ("epoch", "cer", "exact")} | {"step": offset + record["step"]}
                )
        done += max((r["step"] for r in records), default=0) / read_json(length)["steps"]
    return {"done": round(done / max(1, len(members)), 4), "loss": loss[-500:], "scores": scores}


def run_job(folder: Path, stopped: threading.Event) -> dict[str, Any]:
    """Do the job, or what is left of it; returns what `report.json` says. Raises StoppedError once `stopped` is set."""
    from netchu.training.engine import fit  # PyTorch, which the service itself does without

    began, plan = time.time(), read_plan(folder)
    old = read_recipe(Path(plan.recipe))
    first = old.bundles[plan.members[0]]
    _, about = read_arrays(first)
    trained = from_dict(about["config"], str(first))
    fold = held_out_fold(trained)
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        grows = {old.bundles[member] for member in plan.members} == set(old.bundles)
        charset = Charset(about["charset"])
        freeze_manifest(folder, plan, charset, fold, grows=grows, knows_all=not trained.holds_out)
    runs, bundles = [], {}
    for member in plan.members:
        cfg = member_config(folder, plan, member, old.bundles[member], fold)
        steps = cfg.epochs * math.ceil(cfg.epoch_lines / cfg.batch_size)
        write_json(folder / f"member{member}.json", {"steps": steps})
        runs.append(fit(cfg))
        # not the best epoch: that one was chosen on the held-out lines
        bundles[member] = keep_fold(cfg.run_dir / "last.safetensors", old.bundles[member])
        if stopped.is_set():  # too late for the fine-tuning to notice
            raise StoppedError(f"{folder}: stopped after member {member + 1}, which is saved")
    corrected = {line.path: line.text for line in read_lines(manifest) if line.source == SOURCE}
    new = follow_corrections(replace_members(old, bundles), list(corrected.values()))
    report = {
        **compare(folder, old, new, fold, plan.least_held_out, plan.threads),
        "members": [member + 1 for member in plan.members],
        "left_out": read_json(folder / "left_out.json"),
        "corrections": len(corrected),
        "lines": runs[0]["lines"] | {"excluded": len(runs[0]["lines"]["excluded"])},
        "training_seconds": round(sum(run["training_seconds"] for run in runs), 1),
        "plan": asdict(plan),
        "finished": time.time(),
        "seconds": round(time.time() - began, 1),
    }
    measured = {"held_out": report["after"]["all"]}
    write_recipe(folder / "ensemble.json", replace(new, accept=report["accept"], measured=measured))
    write_json(folder / "report.json", report)
    return report


def keep_fold(tuned: Path, start: Path) -> Path:
    """The fine-tuned bundle, beside it as `kept.safetensors` where it started from one that had seen every fold: such
    a model has still seen them, whatever its own run held out."""
    from netchu.model.bundle import read_stored, write_bundle

    (tensors, about), (_, before) = read_stored(tuned), read_stored(start)
    if before["config"]["fold"] == about["config"]["fold"]:
        return tuned
    kept = tuned.with_name("kept.safetensors")
    write_bundle(kept, tensors, {**about, "config": {**about["config"], "fold": before["config"]["fold"]}})
    return kept


def stop_with_parent(stopped: threading.Event) -> None:
    """Terminate this process in order when standard input closes."""

    def wait() -> None:
        while os.read(0, 1):  # sys.stdin would hold a lock that the interpreter needs at its end
            pass
        stopped.set()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def compare(folder: Path, old: Recipe, new: Recipe, fold: int, least: int, threads: int = 0) -> dict[str, Any]:
    """Scores of the held-out lines as the two recipes read them, by source too, with the share that each accepts.

    `better`: CER has not grown; `enough`: there are at least `least` lines to say so; `accept`: see `new_threshold`.
    """
    _, held_out = split(read_lines(folder / "manifest.csv"), fold)
    labels = [line.text for line in held_out]
    readings: dict[str, list[Reading]] = {"before": [], "after": []}
    for side, recipe in (("before", old), ("after", new)):
        ensemble = Ensemble.from_recipe(recipe, threads=threads)
        for start in range(0, len(held_out), READ_AT_ONCE):
            images = [read_image(line.path) for line in held_out[start : start + READ_AT_ONCE]]
            readings[side] += [timed.reading for timed in ensemble.read(images)]
    accept = new_threshold(old.accept, readings["after"], labels, least)
    thresholds = {"before": old.accept, "after": accept}
    sides = {side: _by_source(read, held_out, thresholds[side]) for side, read in readings.items()}
    before, after = (score([r.text for r in readings[side]], labels).cer for side in ("before", "after"))
    return {**sides, "better": after <= before, "enough": len(held_out) >= least, "least": least, "accept": accept}


def new_threshold(accept: float | None, readings: Sequence[Reading], labels: Sequence[str], least: int) -> float | None:
    """From which confidence on readings of the new recipe are safe.

    Fewer than `least` held-out lines say nothing about it: the old threshold stays. Otherwise it is raised until 99 %
    of the accepted lines are right; None when no confidence makes them so. A recipe without one gets one again from
    `FIND_THRESHOLD` lines on.
    """
    if len(labels) < (least if accept is not None else max(least, FIND_THRESHOLD)):
        return accept
    right = [reading.text == label for reading, label in zip(readings, labels, strict=True)]
    needed, _ = measure_coverage([reading.confidence for reading in readings], right).accept()
    return None if math.isinf(needed) else max(accept or 0.0, needed)


def _by_source(
    readings: Sequence[Reading], lines: Sequence[Line], accept: float | None
) -> dict[str, dict[str, float | None]]:
    import pandas as pd  # where lines are trained on, which the service itself does without

    rows = [(line.source or "base", line.text, read.text, read.confidence)
            for line, read in zip(lines, readings, strict=True)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["source", "label", "text", "confidence"])
    found: dict[str, dict[str, float | None]] = {}
    for name, own in [("all", table), *table.groupby("source")]:
        accepted = None if accept is None else float((own.confidence >= accept).mean())
        found[str(name)] = {**score(own.text.tolist(), own.label.tolist()).to_dict(), "accepted": accepted}
    return found


def main() -> int | None:
    """Run the job of a folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    stopped = threading.Event()
    stop_with_parent(stopped)
    if hasattr(os, "nice"):
        os.nice(10)  # reading comes first
    try:
        with file_lock(folder / "lock", BUSY) as mine:  # an earlier process may be saving its state
            if not mine:
                raise NetchuError(f"{folder}: another process works on this job; end it first")
            run_job(folder, stopped)
    except NetchuError:
        if stopped.is_set():
            return STOPPED
        raise
    return None


if __name__ == "__main__":
    run_main(main)
