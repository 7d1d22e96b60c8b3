"""Lines with synthetic addresses: `python synthetic_data/gendata_address.py --count 1000 --out DIR`."""

from importlib import import_module

from netchu.core.errors import run_main

if __name__ == "__main__":
    run_main(lambda: import_module("netchu.synthesis.address_lines").main())  # within: it may miss a library
