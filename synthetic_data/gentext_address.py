"""Synthetic addresses as text: `python synthetic_data/gentext_address.py --count 300000 --out FILE`."""

from netchu.core.errors import run_main
from netchu.synthesis.address_texts import main

if __name__ == "__main__":
    run_main(main)
