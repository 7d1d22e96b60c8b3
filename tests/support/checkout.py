"""A checkout as a user has it, and what makes the documented commands small."""

from pathlib import Path

from tests.support.tiny import ROOT

SMALL = (
    "backbone=cnn3", "width_stride=4", "height=32", "hidden=16", "neck=none", "epochs=1", "epoch_lines=16",
    "batch_size=8", "workers=0", "pretrained=false",
)  # fmt: skip


SHRUNK = {
    "train.py": ["--set", *SMALL],
    "gendata_address.py": ["--count", "6", "--jobs", "1"],
    "netchu trial auto": ["--seconds", "0", "--set", *SMALL],
    "netchu trial lr": ["--batches", "10", "--set", *SMALL],
    "gentext_address.py": ["--count", "60"],
}


def make_checkout(folder: Path, lines_folder: Path) -> Path:
    """Fill an empty folder like a fresh checkout, with the challenge's folders in place."""
    for name in (
        "train.py",
        "infer.py",
        "prepare_ext_data.py",
        "configs",
        "synthetic_data",
        "benchmarks",
        "docs",
        "Makefile",
    ):
        (folder / name).symlink_to(ROOT / name)
    training, test = folder / "kalapa" / "training_data", folder / "kalapa" / "public_test"
    (training / "annotations").mkdir(parents=True)
    test.mkdir()
    (training / "images").symlink_to(lines_folder / "images")
    (test / "images").symlink_to(lines_folder / "images")
    cinnamon = folder / "cinnamon" / "train"
    cinnamon.mkdir(parents=True)
    (cinnamon / "labels.json").write_text("{}", encoding="utf-8")
    for row in (lines_folder / "labels.tsv").read_text(encoding="utf-8").splitlines():
        name, text, writer = row.split("\t")
        with (training / "annotations" / f"{writer}.txt").open("a", encoding="utf-8") as stream:
            stream.write(f"{name.removeprefix('images/')}\t{text}\n")
    return folder
