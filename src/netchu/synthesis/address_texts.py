"""Writes made-up addresses as text, one a line, and the places that they are made of: what language models learn from.

python synthetic_data/gentext_address.py --count 200000 --out synthetic/addresses.txt --places synthetic/places.tsv
"""

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from netchu.core.files import atomic_path, write_text
from netchu.core.options import add_number, add_options, new_file, refuse_overwriting
from netchu.language.conventions import place_tones
from netchu.synthesis.address_lines import add_addresses, choose_styles
from netchu.synthesis.addresses import AddressGrammar
from netchu.synthesis.admin_units import AdminUnits, open_gazetteers


def write_texts(path: Path, grammar: AddressGrammar, count: int, seed: int) -> None:
    """Write `count` addresses; the same seed gives the same bytes."""
    rng = np.random.default_rng(seed)
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        for _ in tqdm(range(count), unit="text", desc="addresses"):
            stream.write(grammar.sample(rng) + "\n")


def write_places(path: Path, gazetteer: AdminUnits) -> None:
    """Write province, district (empty where there is none), ward, between tabs: every ward in both tone placements,
    and without the hyphens that handwritten labels leave out."""
    places = [
        f"{district.province.name}\t{district.unit.name if district.unit else ''}\t{ward.name}\n"
        for district in gazetteer.districts
        for ward in district.wards
    ]
    rows = {place_tones(place, late) for place in places for late in (True, False)}
    rows |= {row.replace(" - ", " ") for row in rows}
    write_text(path, "".join(sorted(rows)))


def main() -> None:
    """Read the arguments and write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_number(parser, "--count", int, 1, default=200_000, help="how many addresses")
    parser.add_argument("--out", type=new_file, required=True, metavar="FILE.txt", help="one address a line")
    parser.add_argument("--places", type=new_file, metavar="FILE.tsv", help="also write province, district, ward")
    add_options(parser, "--seed")
    add_addresses(parser)
    arguments = parser.parse_args()
    inputs = [Path(name) for name in (*arguments.gazetteer, arguments.style_from) if name]
    refuse_overwriting([arguments.out, arguments.places], inputs)
    gazetteer = open_gazetteers(arguments.gazetteer)
    styles = choose_styles(arguments.style, arguments.style_from)
    write_texts(arguments.out, AddressGrammar(gazetteer, styles), arguments.count, arguments.seed)
    if arguments.places:
        write_places(arguments.places, gazetteer)
