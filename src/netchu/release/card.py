"""MODEL_CARD.md of a release: what it is, what it learnt from and under which terms, how it was measured, its limits.

Everything is taken from the files themselves: the bundles' configs, the manifests, the figures that the selection left
in the recipe. What nobody measured is said to be not measured.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from netchu.core.budget import MEGABYTE
from netchu.core.config import ALL_DATA_FOLD
from netchu.core.files import hash_file, write_text
from netchu.core.metrics import score
from netchu.data.manifest import HELPING, read_manifest
from netchu.language.ngram import load_ngram
from netchu.reading.recipe import Recipe
from netchu.release.measured import ReleasedBundle, describe_figures
from netchu.release.vectors import Vector

if TYPE_CHECKING:
    import pandas as pd

TERMS = {
    "kalapa": "Kalapa 2023 handwriting challenge: public challenge data without an open licence.",
    "cinnamon": "Cinnamon AI 2018 address challenge: public challenge data without an open licence.",
    "copiste_un_jour": "Copiste d'un jour (banq-dcn/Copiste-d-un-jour): handwriting in French, CC BY 4.0.",
    "dhsd": "DHSD (nauman-riaz/DHSD): handwritten German place names, CC BY 4.0.",
    "testaments_poilus": "Testaments de poilus (HTR-United/CREMMA-AN-TestamentsDePoilus): French wills, CC BY 4.0.",
}
PP = (
    "started from the recognition network of PP-OCRv6 (PaddleOCR, Apache-2.0, see NOTICE), which has "
    "seen lines that its authors do not list."
)
ORIGINS = dict.fromkeys(("pplcnet_v4", "pplcnet_v4_slim", "pplcnet_v4_slimmer"), PP)  # by backbone
UNKNOWN = "terms not stated here; ask its owner."
CARD = """# The released ensemble of netchu

Reads handwritten Vietnamese address lines, one line an image: {parts}. It runs without a network, on a processor alone
or on a GPU.

```
python infer.py --images DIR
```

## Files

What reading opens; MB are 10^6 bytes. `vectors.json` (test vectors), `ensemble_choices.csv` (what else was tried) and
this card are never opened.

| file | MB | SHA-256 |
|---|---|---|
{files}

## Training

| bundle | network | height / stride, pixels | reads lines at | started from | epochs | synthetic lines | trained on |
|---|---|---|---|---|---|---|---|
{training}

The whole config of a run, its seed included, and a hash of its weights travel inside its bundle.

## Data and its terms

| manifest | source | kind | lines | writers |
|---|---|---|---|---|
{data}

{terms}
- Synthetic lines: drawn by `synthetic_data/` after fonts under the SIL Open Font Licence 1.1, nobody's handwriting.
  Those of `gendata_aug.py` hold ink of the real lines and stand under their terms.

No image and no label file of a challenge is passed on with these weights. Whether weights that learnt from such data
may be used for a purpose is for whoever uses them to clear. {language}

## Figures

{figures}

## Test vectors

`vectors.json`: {vectors} `python -m pytest tests/release/test_release.py` reads them again.

## Intended use

Proposing the text of handwritten Vietnamese addresses, line by line, to a person who checks what matters; research on
reading handwriting; a start for fine-tuning on one's own lines (`load_weight`).

## Limits

- Characters outside of its charset are never answered. The charset: `{charset}`
- Lines of addresses only: no printed text, no other scripts, no whole pages (`netchu cut-page` cuts those).
{written}- Places that are rare or new may be read as a near known one; a house number is only as good as its ink.
- Its writers are those of the sources above, not a sample of all people who write Vietnamese.
- Not for telling who wrote something, and not for decisions about people unless a person looks at the image.
"""


TITLE = """- A line without a comma is answered in title case, without punctuation other than ' and /, as the
  labels of the Kalapa challenge are, whatever the hand wrote (`convention` in `ensemble.json`; `none` ends it).
"""
WRITTEN = {  # by the settings' convention
    "title": TITLE,
    "title_tones": TITLE
    + """- In a line with a comma the tone of oa, oe, uy stands where Cinnamon's labels have it (Xã Hòa An,
  Huyện Hoà An).
""",
}


def write_card(
    path: Path, recipe: Recipe, bundles: Sequence[ReleasedBundle], vectors: Sequence[Vector], manifests: Iterable[Path]
) -> None:
    """Write the card beside the files of a release; `manifests` are what its bundles were trained on."""
    known = {hash_file(file): (file.name, read_manifest(file)) for file in manifests}
    held = [("a character n-gram model", recipe.language), ("a gazetteer", recipe.places)]
    read = score([v.text for v in vectors], [v.label for v in vectors])
    text = CARD.format(
        parts=", ".join([f"{len(bundles)} bundle{'s' * (len(bundles) > 1)}", *(name for name, file in held if file)]),
        files="\n".join(_file_rows(recipe)),
        training="\n".join(
            _training_row(bundle, {key: name for key, (name, _) in known.items()}) for bundle in bundles
        ),
        data="\n".join(row for name, table in known.values() for row in _data_rows(name, table)),
        terms="\n".join([*_terms(table for _, table in known.values()), *_origins(bundles)]),
        language=_language(recipe),
        figures=describe_figures(recipe.measured or {}, bundles),
        vectors=f"{read.lines} synthetic lines and what is read in them in float32, {round(read.exact * read.lines)} "
        f"of them exactly (CER {100 * read.cer:.2f} %; synthetic lines say little about people's hands).",
        charset=bundles[0].about["charset"],
        written=WRITTEN.get(recipe.settings.convention, ""),
    )
    write_text(path, text)


def _file_rows(recipe: Recipe) -> list[str]:
    files = {file: file.stat().st_size / MEGABYTE for file in recipe.files}
    rows = [f"| `{file.name}` | {size:.3f} | `{hash_file(file)}` |" for file, size in files.items()]
    return [*rows, f"| together | {sum(files.values()):.3f} | |"]


def _training_row(bundle: ReleasedBundle, manifests: dict[str, str]) -> str:
    config, hashes = bundle.about["config"], bundle.about["hashes"]
    digest, runs = hashes.get("manifest", ""), sum(key.startswith("averaged_") for key in hashes)
    source = config.get("synthetic_source")
    cells = [
        f"`{bundle.file.name}`",
        f"{config['backbone']}, {config['neck']} {config['hidden']}",
        f"{config['height']} / {config['width_stride']}",
        ", ".join(f"{stretch:g}" for stretch in bundle.stretches) + " x their width",
        config.get("load_weight") or ("timm's ImageNet weights" if config.get("pretrained") else "random weights"),
        f"{config['epochs']}" + (f"; mean of {runs} runs' weights, here the first" if runs else ""),
        f"{source}, share {config['synthetic_share']:g}" if source else "as in the manifest",
        (manifests.get(digest, f"a manifest that is not at hand, {digest[:12]}") if digest else "no manifest")
        + (", every line" if config["fold"] == ALL_DATA_FOLD else f", all but fold {config['fold']}"),
    ]
    return f"| {' | '.join(cells)} |"


def _data_rows(name: str, table: "pd.DataFrame") -> list[str]:
    kinds = {"": "real", HELPING: HELPING}
    rows = []
    for (source, aug), own in table.groupby(["source", "aug"]):
        writers = own.writer_id.replace("", None).nunique() or "unknown"
        rows.append(f"| {name} | {source or '-'} | {kinds.get(aug, 'synthetic')} | {len(own)} | {writers} |")
    return rows


def _terms(tables: Iterable["pd.DataFrame"]) -> list[str]:
    sources = sorted({name for table in tables for name in table.source[table.aug.isin(["", HELPING])]})
    return [f"- {source or 'No source'}: {TERMS.get(source, UNKNOWN)}" for source in sources]


def _origins(bundles: Iterable[ReleasedBundle]) -> list[str]:
    """Whose weights the bundles started from, where those are of another project."""
    backbones = sorted({bundle.about["config"]["backbone"] for bundle in bundles})
    return [f"- {backbone}: {ORIGINS[backbone]}" for backbone in backbones if backbone in ORIGINS]


def _language(recipe: Recipe) -> str:
    if not recipe.language:
        return ""
    model = load_ngram(recipe.language)
    folds = ", ".join(map(str, model.folds))
    learnt = (
        f"labels of folds {folds}, of which it holds runs of up to {model.order} characters" if folds else "no label"
    )
    return f"The n-gram model learnt made-up addresses and {learnt}."
