"""What a retraining does: its plan, its manifest, the fine-tuning config of a member, the comparison that decides.

The corrections are frozen into the job's own manifest at its first start, so a job that goes on later trains on the
same lines. Held out are the corrections marked so and, with a base manifest, the fold that the version never saw.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from netchu.charset import Charset
from netchu.checkpoint import read_bundle
from netchu.config import ALL_DATA_FOLD, Config, from_dict
from netchu.ensemble import Ensemble
from netchu.errors import NetchuError
from netchu.manifest import TRAIN_ONLY, Line, image_hash, read_manifest, split, write_manifest
from netchu.metrics import Scores, score
from netchu.preprocess import read_image
from netchu.tracking import read_log

SOURCE = "corrections"
MOST_COPIES = 10  # of a correction in the manifest
CORRECTED_SHARE = 0.25  # of the training lines, as far as MOST_COPIES allows
MOST_LINES = 4000  # an epoch
SLOWER = 0.1  # learning rate, as a share of the one that the version was trained with
READ_AT_ONCE = 256  # lines
MOST_VALIDATIONS = 12  # of a member


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a job does. `base` is a manifest that is mixed in against forgetting, or empty; `lr` 0: chosen here."""

    bundles: list[str]
    samples: str
    base: str = ""
    epochs: int = 6
    lr: float = 0.0
    threads: int = 0


def read_plan(folder: Path) -> Plan:
    """The plan of a job's folder."""
    return Plan(**json.loads((folder / "job.json").read_text(encoding="utf-8")))


def held_out_fold(cfg: Config) -> int:
    """The fold that a version never trained on; fold 0 for one that trained on everything."""
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


def freeze_manifest(path: Path, plan: Plan, charset: Charset, fold: int) -> None:
    """Write the job's manifest: base lines, and the corrections repeated up to a quarter of the training lines.

    A made line that is neither trained on nor held out carries the version's charset, so that no character is
    forgotten. Raises NetchuError when there is nothing to train on or nothing held out.
    """
    base = read_manifest(Path(plan.base)) if plan.base else []
    known = {image_hash(line.path) for line in base}
    corrected = [line for line in read_samples(Path(plan.samples), fold) if image_hash(line.path) not in known]
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
    write_manifest(path, [*base, *corrected, *(fresh * (copies - 1)), carrier])


def member_config(folder: Path, plan: Plan, member: int, fold: int) -> Config:
    """The fine-tuning run of one member, from the config in its bundle."""
    _, about = read_bundle(Path(plan.bundles[member]))
    cfg = from_dict(about["config"], plan.bundles[member])
    train, _ = split(read_manifest(folder / "manifest.csv"), fold)
    return replace(
        cfg,
        name=f"member{member}",
        manifest=str(folder / "manifest.csv"),
        fold=fold,
        load_weight=plan.bundles[member],
        pretrained=False,
        epochs=plan.epochs,
        lr=plan.lr or cfg.lr * SLOWER,
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


def compare(folder: Path, plan: Plan, new: Sequence[Path], fold: int) -> dict[str, Any]:
    """Scores of the held-out lines before and after, by source too; `better` says that CER has not grown."""
    _, held_out = split(read_manifest(folder / "manifest.csv"), fold)
    sides = {}
    for side, paths in (("before", [Path(p) for p in plan.bundles]), ("after", list(new))):
        ensemble, texts = Ensemble.load(paths), []
        for start in range(0, len(held_out), READ_AT_ONCE):
            images = [read_image(line.path) for line in held_out[start : start + READ_AT_ONCE]]
            texts += [timed.reading.text for timed in ensemble.read(images)]
        sides[side] = _by_source(texts, held_out)
    return {**sides, "better": sides["after"]["all"]["cer"] <= sides["before"]["all"]["cer"]}


def _by_source(texts: Sequence[str], lines: Sequence[Line]) -> dict[str, dict[str, float]]:
    scores: dict[str, Scores] = {"all": score(texts, [line.text for line in lines])}
    for source in sorted({line.source for line in lines}):
        chosen = [i for i, line in enumerate(lines) if line.source == source]
        scores[source or "base"] = score([texts[i] for i in chosen], [lines[i].text for i in chosen])
    return {name: value.to_dict() for name, value in scores.items()}


def read_progress(folder: Path) -> dict[str, Any]:
    """How far a job is: `done` from 0 to 1, `loss` as [step, value] pairs and the held-out `scores` of each epoch.

    Members follow one another; steps count on from one to the next.
    """
    plan = read_plan(folder)
    loss: list[list[float]] = []
    scores: list[dict[str, float]] = []
    done = 0.0
    for member in range(len(plan.bundles)):
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
    return {"done": round(done / len(plan.bundles), 4), "loss": loss[-500:], "scores": scores}
