"""The three scripts end to end, as a user runs them: the good way, and every kind of bad input."""

import csv
import shutil
from pathlib import Path

import pytest

from netchu.reading.submission import read_labels
from tests.support.commands import Result, assert_refused, run
from tests.support.tiny import TINY


@pytest.fixture
def images(lines_folder: Path, tmp_path: Path) -> Path:
    """A folder of images that a test may spoil."""
    return Path(shutil.copytree(lines_folder / "images", tmp_path / "images"))


def test_from_folder_to_scored_submission(lines_folder: Path, tmp_path: Path) -> None:
    prepared = run("prepare_ext_data.py", "--labels-tsv", lines_folder, "--out", tmp_path)
    assert prepared.returncode == 0, prepared.stderr
    assert "48 real lines, new folds (seed 0)" in prepared.stdout
    before = (tmp_path / "train_folds.csv").read_text(encoding="utf-8")
    again = run("prepare_ext_data.py", "--labels-tsv", lines_folder, "--out", tmp_path, "--seed", 5)
    assert "folds kept as recorded" in again.stdout
    assert (tmp_path / "train_folds.csv").read_text(encoding="utf-8") == before

    settings = [
        f"{k}={v}"
        for k, v in TINY.to_dict().items()
        if k not in ("name", "manifest", "output_dir", "load_weight", "fold")
    ]
    where = [f"manifest={tmp_path / 'train_folds.csv'}", f"output_dir={tmp_path / 'outputs'}"]
    trained = run("train.py", "-C", "demo", "--fold", 0, "--set", *settings, *where, "epochs=3")
    assert trained.returncode == 0, trained.stderr
    assert "best held-out CER" in trained.stdout

    out, samples = tmp_path / "submission.csv", tmp_path / "samples.png"
    inferred = run(
        "infer.py", "--images", lines_folder, "--bundles", tmp_path / "outputs/demo/best.safetensors",
        "--out", out, "--labels", lines_folder / "labels.tsv", "--samples", samples,
    )  # fmt: skip
    assert inferred.returncode == 0, inferred.stderr
    assert "budget 50 MB" in inferred.stdout
    assert "kalapa_score" in inferred.stdout
    assert samples.stat().st_size > 1000
    with out.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["id"] for row in rows[:2]] == ["images/0/0.jpg", "images/0/1.jpg"]
    assert len(rows) == 48
    assert all(float(row["elapsed_time"]) > 0 for row in rows)


def test_two_members_and_the_budget_table(bundle: Path, images: Path, tmp_path: Path) -> None:
    second = tmp_path / "b.safetensors"
    shutil.copy(bundle, second)
    result = run("infer.py", "--images", images, "--bundles", bundle, second, "--out", tmp_path / "s.csv")
    assert result.returncode == 0, result.stderr
    assert "total of 2 files" in result.stdout


def test_over_budget_is_refused_before_any_work(bundle: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.csv"
    result = run("infer.py", "--images", images, "--bundles", bundle, "--out", out, "--budget-mb", 0.01)
    assert_refused(result, "over budget", "0.01 MB allowed")
    assert "total of 1 files" in result.stdout
    assert not out.exists()


def test_unreadable_images_get_an_empty_answer_and_a_warning(bundle: Path, images: Path, tmp_path: Path) -> None:
    (images / "0" / "1.jpg").write_bytes(b"")
    (images / "1" / "2.jpg").write_bytes(b"no image")
    out = tmp_path / "s.csv"
    result = run("infer.py", "--images", images, "--bundles", bundle, "--out", out)
    assert result.returncode == 1, "so that a script notices"
    assert "warning: 2 images could not be read; the first: " in result.stderr
    rows = {r["id"]: r["answer"] for r in csv.DictReader(out.open(encoding="utf-8"))}
    assert len(rows) == 48
    assert rows["0/1.jpg"] == rows["1/2.jpg"] == ""
    out.unlink()
    strict = run("infer.py", "--images", images, "--bundles", bundle, "--out", out, "--strict")
    assert_refused(strict, "0/1.jpg", "is empty")
    assert not out.exists()


def test_every_image_unreadable_still_gives_a_whole_file(bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"x")
    words = ("--images", folder, "--bundles", bundle, "--out", tmp_path / "s.csv")
    for more in ((), ("--samples", tmp_path / "s.png")):
        assert_refused(run("infer.py", *words, *more), "a.jpg: is not an image")
    assert (tmp_path / "s.csv").read_text(encoding="utf-8").startswith("id,answer,elapsed_time\na.jpg,,")


def test_missing_and_empty_folders(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.csv"
    assert_refused(
        run("infer.py", "--images", tmp_path / "none", "--bundles", bundle, "--out", out), "none: no such folder"
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    assert_refused(run("infer.py", "--images", empty, "--bundles", bundle, "--out", out), "holds no images")
    assert not out.exists()
    assert_refused(run("prepare_ext_data.py", "--kalapa", empty, "--out", tmp_path / "data"), "no annotations/*.txt")
    assert_refused(run("prepare_ext_data.py", "--out", tmp_path / "data"), "no data set given")
    assert not (tmp_path / "data").exists()


def test_bad_bundles_name_the_file_and_the_remedy(bundle: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.csv"

    def infer(bundle: Path) -> Result:
        return run("infer.py", "--images", images, "--bundles", bundle, "--out", out)

    assert_refused(infer(tmp_path / "none.safetensors"), "none.safetensors: no such file", "train.py")
    truncated = tmp_path / "truncated.safetensors"
    truncated.write_bytes(bundle.read_bytes()[:-100])
    assert_refused(infer(truncated), "truncated.safetensors: is truncated", "copy it again")
    assert not out.exists()


def test_label_file_with_a_wrong_line(bundle: Path, images: Path, tmp_path: Path) -> None:
    labels, out = tmp_path / "labels.tsv", tmp_path / "s.csv"
    for content, message in (
        ("0/0.jpg\tHà Nội\n0/1.jpg Huế\n", "labels.tsv:2: expected 2 columns"),
        ("0/99.jpg\tHà Nội\n", "names 0/99.jpg, which is not in"),
        ("0/0.jpg\ta\n0/0.jpg\tb\n", "names 0/0.jpg twice"),
    ):
        labels.write_text(content, encoding="utf-8")
        result = run("infer.py", "--images", images, "--bundles", bundle, "--out", out, "--labels", labels)
        assert_refused(result, message)
    assert not out.exists()
    labels.write_text("0/0.jpg\tHue\u0302\u0301\n", encoding="utf-8")
    assert read_labels(labels, images) == {"0/0.jpg": "Huế"}


def test_unwritable_output(bundle: Path, images: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    result = run("infer.py", "--images", images, "--bundles", bundle, "--out", blocked / "s.csv")
    assert_refused(result, "s.csv", "cannot be written")


def test_training_mistakes(tmp_path: Path) -> None:
    assert_refused(run("train.py", "-C", "dmeo"), "did you mean 'demo'")
    assert_refused(run("train.py", "-C", "demo", "--seed", -1), "--seed -1", "0 to 2147483647")
    assert_refused(run("train.py", "-C", "demo", "--set", "epohcs=1"), "did you mean 'epochs'")
    missing = run("train.py", "-C", "demo", "--set", f"manifest={tmp_path / 'no.csv'}", f"output_dir={tmp_path}")
    assert_refused(missing, "no.csv: no such manifest", "prepare_ext_data.py")
