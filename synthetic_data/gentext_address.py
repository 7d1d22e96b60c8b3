"""Synthetic addresses as text: `python synthetic_data/gentext_address.py --count 300000 --out FILE`."""

from importlib import import_module

from netchu.core.errors import run_main

if __name__ == "__main__":
    run_main(lambda: import_module("netchu.synthesis.address_texts").main())  # within: it may miss a library
