"""New lines from real ones: `python synthetic_data/gendata_aug.py --manifest CSV --folds 1,2,3,4 --out DIR`."""

from importlib import import_module

from netchu.core.errors import run_main

if __name__ == "__main__":
    run_main(lambda: import_module("netchu.synthesis.recombined_lines").main())  # within: it may miss a library
