"""New lines from real ones: `python synthetic_data/gendata_aug.py --manifest CSV --folds 1,2,3,4 --out DIR`."""

from netchu.core.errors import run_main
from netchu.synthesis.recombined_lines import main

if __name__ == "__main__":
    run_main(main)
