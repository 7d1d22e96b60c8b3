"""Lines with synthetic addresses: `python synthetic_data/gendata_address.py --count 1000 --out DIR`."""

from netchu.core.errors import run_main
from netchu.synthesis.address_lines import main

if __name__ == "__main__":
    run_main(main)
