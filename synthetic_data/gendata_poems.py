"""Lines with verses: `python synthetic_data/gendata_poems.py --count 1000 --out DIR [--poems FILE.csv]`."""

from netchu.core.errors import run_main
from netchu.synthesis.poem_lines import main

if __name__ == "__main__":
    run_main(main)
