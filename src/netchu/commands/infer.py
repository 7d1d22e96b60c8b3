"""Read a folder of line images into a submission file: netchu infer --images DIR.

It reads with the released ensemble, or with --bundles or --ensemble. Answers are kept beside the output while it
reads: an interrupted run goes on with --resume.
"""

import argparse
import time
from pathlib import Path

from netchu.core import budget
from netchu.core.charset import describe_counts
from netchu.core.errors import NetchuError, process_count
from netchu.core.metrics import score
from netchu.core.options import add_number, add_options, new_file, refuse_overwriting
from netchu.reading.drawing import check_letters, check_picture
from netchu.reading.ensemble import Ensemble
from netchu.reading.kept_answers import KeptAnswers, fingerprint
from netchu.reading.options import add_model_options, check_model_options
from netchu.reading.recipe import default_recipe, plain_recipe, read_recipe
from netchu.reading.submission import (
    cores,
    draw_answers,
    images_of,
    read_folder,
    read_labels,
    report_unread,
    write_details,
    write_submission,
)


def main() -> int:
    """Check the size, read every image, write the submission, print scores when labels are given. Returns 1 when some
    images could not be read."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument(
        "--images", type=Path, required=True, metavar="DIR", help="line images, nested folders too, or one image file"
    )
    add_model_options(parser)
    parser.add_argument("--out", type=new_file, default="submission.csv", metavar="FILE")
    add_options(parser, "--budget-mb")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="id, tab, text: print the scores")
    parser.add_argument("--samples", type=new_file, metavar="FILE.png", help="draw the first lines with what was read")
    parser.add_argument("--details", type=new_file, metavar="FILE.jsonl", help="confidence of each line and character")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16", "fp16"), default="auto")
    add_number(parser, "--batch-size", int, 1, default=16)
    parser.add_argument("--strict", action="store_true", help="an unreadable image is an error, not an empty answer")
    going = parser.add_mutually_exclusive_group()
    going.add_argument("--resume", action="store_true", help="go on where an interrupted run with this --out was")
    going.add_argument("--restart", action="store_true", help="discard the answers of an interrupted run")
    args = parser.parse_args()

    check_model_options(args)
    if args.samples:
        check_picture(args.samples, "--samples")
        check_letters(args.samples)
    rank, ranks = processes()
    if args.bundles:
        recipe = plain_recipe(args.bundles, args.decoder)
    else:
        recipe = read_recipe(args.ensemble or default_recipe())
    paths, root = images_of(args.images)
    refuse_overwriting([args.out, args.details, args.samples], [*paths, *args.bundles, args.ensemble, args.labels])
    sizes = budget.measure(recipe.files)
    print(budget.table(sizes, args.budget_mb))
    budget.check(sizes, args.budget_mb)
    # Lines are shared out among threads: that beats several threads for one line.
    threads = args.threads if len(paths) == 1 else 1
    ensemble = Ensemble.from_recipe(
        recipe, precision=args.precision, batch_size=args.batch_size, engine=args.engine, threads=threads
    )
    labels = read_labels(args.labels, root) if args.labels else {}
    if labels and not any(path.relative_to(root).as_posix() in labels for path in paths):
        raise NetchuError(f"{args.labels}: names none of the images in {args.images}; give their labels")
    unknown = ensemble.charset.count_unknown(labels.values())
    if unknown:
        print(f"warning: {args.labels} holds characters that the bundles never learnt: {describe_counts(unknown)}")

    settings = {"decoder": args.decoder if args.bundles else "", "precision": args.precision, "engine": args.engine}
    suffix = f".{rank}-of-{ranks}.kept" if ranks > 1 else ".kept"
    kept = KeptAnswers(
        args.out.with_name(args.out.name + suffix),
        fingerprint(recipe.files, settings, paths),
        resume=args.resume,
        restart=args.restart,
    )
    began, whole, fresh = time.perf_counter(), False, len(paths) - len(kept.answers)
    try:
        answers = read_folder(
            args.images, ensemble, strict=args.strict, rank=rank, ranks=ranks, kept=kept,
            workers=args.threads or max(1, cores() // ranks), details=bool(args.details),
        )  # fmt: skip
        seconds = time.perf_counter() - began
        if not rank:
            write_submission(args.out, answers)
            if args.details:
                write_details(args.details, answers)
        whole = True
    finally:
        kept.close(whole=whole)
        if kept.path.is_file() and not rank:
            print(f"{kept.path}: keeps {kept.count} answers; go on with --resume")
    if rank:
        return 0
    slowest = max(answers, key=lambda a: a.seconds)
    print(
        f"{args.out}: {len(answers)} lines in {seconds:.1f} s, {fresh / seconds:.1f} lines/s, "
        f"slowest {slowest.seconds:.3f} s ({slowest.id})"
    )
    status = report_unread([a.problem for a in answers if a.problem], len(answers))
    if labels:
        print(score([a.text for a in answers if a.id in labels], [labels[a.id] for a in answers if a.id in labels]))
    if args.samples:
        print(f"{args.samples}: {draw_answers(args.samples, root, answers, labels)} lines with what was read")
    return status


def processes() -> tuple[int, int]:
    """(this process's rank, how many there are) under `accelerate launch`, which needs PyTorch; (0, 1) without it."""
    if process_count() < 2:
        return 0, 1
    import torch
    from accelerate import PartialState

    state = PartialState(cpu=not torch.cuda.is_available())
    return state.process_index, state.num_processes
