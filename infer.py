"""Read a folder of line images: python infer.py --images DIR --bundles A.safetensors [B ...] --out submission.csv."""

import argparse
import time
from pathlib import Path

from netchu import budget
from netchu.charset import describe_counts
from netchu.decode import DECODERS
from netchu.ensemble import Ensemble
from netchu.errors import NetchuError, run_main
from netchu.metrics import score
from netchu.preprocess import read_image
from netchu.samples import draw_samples
from netchu.submission import read_folder, read_labels, write_submission


def main() -> None:
    """Check the size, read every image, write the submission, print scores when labels are given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--images", type=Path, required=True, metavar="DIR", help="folder of line images, nested ones too"
    )
    parser.add_argument(
        "--bundles", type=Path, nargs="+", required=True, metavar="FILE", help="members, averaged frame by frame"
    )
    parser.add_argument("--out", type=Path, default=Path("submission.csv"), metavar="FILE")
    parser.add_argument(
        "--budget-mb", type=float, default=budget.BUDGET_MB, help="limit on all files opened, 10^6 bytes each"
    )
    parser.add_argument("--labels", type=Path, metavar="FILE", help="id, tab, text: print the scores")
    parser.add_argument("--samples", type=Path, metavar="FILE.png", help="draw the first lines with what was read")
    parser.add_argument("--decoder", choices=DECODERS, default="greedy")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16", "fp16"), default="auto")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--strict", action="store_true", help="an unreadable image is an error, not an empty answer")
    args = parser.parse_args()

    if args.batch_size < 1:
        raise NetchuError(f"--batch-size {args.batch_size}: expected 1 or more")
    sizes = budget.measure(args.bundles)
    print(budget.table(sizes, args.budget_mb))
    budget.check(sizes, args.budget_mb)
    labels = read_labels(args.labels, args.images) if args.labels else {}
    ensemble = Ensemble.load(args.bundles, decoder=args.decoder, precision=args.precision, batch_size=args.batch_size)

    unknown = ensemble.charset.count_unknown(labels.values())
    if unknown:
        print(f"warning: {args.labels} holds characters that the bundles never learnt: {describe_counts(unknown)}")

    began = time.perf_counter()
    answers = read_folder(args.images, ensemble, strict=args.strict)
    seconds = time.perf_counter() - began
    write_submission(args.out, answers)
    slowest = max(answers, key=lambda a: a.seconds)
    print(
        f"{args.out}: {len(answers)} lines in {seconds:.1f} s, {len(answers) / seconds:.1f} lines/s, "
        f"slowest {slowest.seconds:.3f} s ({slowest.id})"
    )
    if labels:
        print(score([a.text for a in answers if a.id in labels], [labels[a.id] for a in answers if a.id in labels]))
    if args.samples:
        shown = [a for a in answers if not a.problem][:16]
        draw_samples(
            args.samples,
            [read_image(args.images / a.id) for a in shown],
            [a.text for a in shown],
            [labels.get(a.id) for a in shown],
        )
        print(f"{args.samples}: {len(shown)} lines with what was read")
    unread = [a for a in answers if a.problem]
    if unread:
        print(
            f"warning: {len(unread)} images could not be read and have an empty answer; the first: {unread[0].problem}"
        )


if __name__ == "__main__":
    run_main(main)
