"""What a retraining does: its plan, its manifest, the fine-tuning config of a member, how far it has come.

A retraining fine-tunes one member of the serving recipe, or all of them; the others, the weights and the settings stay,
unless the corrections show that the labels are now written otherwise than by the recipe's convention.
The corrections are frozen into the job's own manifest at its first start, so a job that goes on later trains on the
same lines. Held out are the corrections marked so and, with a base manifest, the fold that the member never saw; of a
member that was trained on every fold only the corrections.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from netchu.core.charset import Charset
from netchu.core.config import ALL_DATA_FOLD, Config, from_dict
from netchu.core.errors import NetchuError
from netchu.core.preprocess import read_image
from netchu.data.manifest import TRAIN_ONLY, Line, read_manifest, split, write_manifest
from netchu.language.conventions import CONVENTIONS
from netchu.model.bundle import read_bundle
from netchu.reading.recipe import Recipe
from netchu.serve.uploads import content_id
from netchu.training.run_folder import read_log, write_json

SOURCE = "corrections"
MOST_COPIES = 10  # of a correction in the manifest
CORRECTED_SHARE = 0.25  # of the training lines, as far as MOST_COPIES allows
MOST_LINES = 4000  # an epoch
SLOWER = 0.1  # learning rate, as a share of the one that the member was trained with
LEAST_RATE = 1e-4  # under which no retraining slows down further
BROKEN = 0.1  # share of the corrections against a convention that ends it
MOST_VALIDATIONS = 12  # of a member
EVERY_MEMBER = "all"


@dataclass(frozen=True, kw_only=True, slots=True)
class RetrainingPlan:
    """What a job does. `recipe`: the version's ensemble.json; `members`: which of it are fine-tuned, from 0 on; `base`:
    a manifest that is mixed in against forgetting, or empty; `lr` 0: chosen here."""

    recipe: str
    members: list[int]
    samples: str
    base: str = ""
    epochs: int = 6
    lr: float = 0.0
    threads: int = 0


def read_plan(folder: Path) -> RetrainingPlan:
    """The plan of a job's folder."""
    return RetrainingPlan(**json.loads((folder / "job.json").read_text(encoding="utf-8")))


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
    """Lines of the samples folder in the order of their numbers; those held out get `fold`, the others none."""
    facts = sorted(
        (json.loads(path.read_text(encoding="utf-8")) | {"path": path} for path in folder.glob("*/[!.]*.json")),
        key=lambda fact: int(fact["number"]),
    )
    return [
        Line(
            path=Path(fact["path"]).with_suffix(".png"),
            text=fact["text"],
            fold=fold if fact["held_out"] else TRAIN_ONLY,
            source=SOURCE,
        )
        for fact in facts
    ]


def put_corrections(base: Sequence[Line], corrected: Sequence[Line]) -> tuple[list[Line], list[Line]]:
    """(base lines, corrections) with each picture in one of them only: a correction of a base line, in whatever image
    format it came, takes that line's place and its fold."""
    pictures = {line.path.stem for line in corrected}  # samples are named by their content
    places: dict[str, int] = {}
    kept = []
    for line in base:
        key = content_id(read_image(line.path)) if line.is_real and pictures else ""
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
    base = read_manifest(Path(plan.base)) if plan.base else []
    if knows_all:
        base = [replace(line, fold=TRAIN_ONLY) for line in base]
    base, corrected = put_corrections(base, read_samples(Path(plan.samples), fold))
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
    _, about = read_bundle(bundle)
    cfg = from_dict(about["config"], str(bundle))
    train, _ = split(read_manifest(folder / "manifest.csv"), fold)
    return replace(
        cfg,
        name=f"member{member}",
        manifest=str(folder / "manifest.csv"),
        fold=fold,
        load_weight=str(bundle.resolve()),
        pretrained=False,
        epochs=plan.epochs,
        lr=plan.lr or min(cfg.lr, max(cfg.lr * SLOWER, LEAST_RATE)),
        schedule="cosine",
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

    Members follow one another; steps count on from one to the next.
    """
    plan = read_plan(folder)
    loss: list[list[float]] = []
    scores: list[dict[str, float]] = []
    done = 0.0
    for member in plan.members:
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
        done += max((r["step"] for r in records), default=0) / json.loads(length.read_text(encoding="utf-8"))["steps"]
    return {"done": round(done / len(plan.members), 4), "loss": loss[-500:], "scores": scores}
