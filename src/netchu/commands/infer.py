"""Read a folder of line images: python infer.py --images DIR, with the released ensemble or --bundles or --ensemble."""

import argparse
import time
from pathlib import Path

import torch

from netchu.core import budget
from netchu.core.charset import describe_counts
from netchu.core.errors import NetchuError
from netchu.core.metrics import score
from netchu.ctc.decoders import DECODERS
from netchu.reading.predict import processes
from netchu.reading.submission import (
    draw_answers,
    open_ensemble,
    read_folder,
    read_labels,
    write_details,
    write_submission,
)
from netchu.release.folder import default_recipe


def main() -> None:
    """Check the size, read every image, write the submission, print scores when labels are given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True, metavar="DIR", help="line images, nested; or one file")
    members = parser.add_mutually_exclusive_group()
    members.add_argument("--bundles", type=Path, nargs="+", metavar="FILE", help="members of equal weight")
    members.add_argument("--ensemble", type=Path, metavar="FILE.json", help="of netchu select; default: released")
    parser.add_argument("--out", type=Path, default=Path("submission.csv"), metavar="FILE")
    parser.add_argument(
        "--budget-mb", type=float, default=budget.BUDGET_MB, help="limit on all files opened, 10^6 bytes each"
    )
    parser.add_argument("--labels", type=Path, metavar="FILE", help="id, tab, text: print the scores")
    parser.add_argument("--samples", type=Path, metavar="FILE.png", help="draw the first lines with what was read")
    parser.add_argument("--details", type=Path, metavar="FILE.jsonl", help="confidence of each line and character")
    parser.add_argument("--decoder", choices=DECODERS, default="greedy", help="of --bundles; a recipe names its own")
    parser.add_argument("--threads", type=int, default=0, help="of torch on the CPU; 0: its own choice")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16", "fp16"), default="auto")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--strict", action="store_true", help="an unreadable image is an error, not an empty answer")
    args = parser.parse_args()

    if args.batch_size < 1 or args.threads < 0:
        raise NetchuError(f"--batch-size {args.batch_size} --threads {args.threads}: expected 1 or more, 0 or more")
    if args.threads:
        torch.set_num_threads(args.threads)
    rank, ranks = processes()
    recipe = args.ensemble if args.bundles or args.ensemble else default_recipe(Path.cwd())
    ensemble = open_ensemble(
        args.bundles or [], recipe, budget_mb=args.budget_mb, decoder=args.decoder, precision=args.precision,
        batch_size=args.batch_size,
    )  # fmt: skip
    labels = read_labels(args.labels, args.images) if args.labels else {}
    unknown = ensemble.charset.count_unknown(labels.values())
    if unknown:
        print(f"warning: {args.labels} holds characters that the bundles never learnt: {describe_counts(unknown)}")

    folder = args.images.parent if args.images.is_file() else args.images
    began = time.perf_counter()
    answers = read_folder(args.images, ensemble, strict=args.strict, rank=rank, ranks=ranks)
    if rank:
        return
    seconds = time.perf_counter() - began
    write_submission(args.out, answers)
    if args.details:
        write_details(args.details, answers, ensemble.accept)
    slowest = max(answers, key=lambda a: a.seconds)
    print(
        f"{args.out}: {len(answers)} lines in {seconds:.1f} s, {len(answers) / seconds:.1f} lines/s, "
        f"slowest {slowest.seconds:.3f} s ({slowest.id})"
    )
    if labels:
        print(score([a.text for a in answers if a.id in labels], [labels[a.id] for a in answers if a.id in labels]))
    if args.samples:
        print(f"{args.samples}: {draw_answers(args.samples, folder, answers, labels)} lines with what was read")
    unread = [a for a in answers if a.problem]
    if unread:
        print(f"warning: {len(unread)} images could not be read, their answer is empty; the first: {unread[0].problem}")
