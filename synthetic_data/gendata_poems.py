"""Lines with verses: `python synthetic_data/gendata_poems.py --count 1000 --out DIR [--poems FILE.csv]`."""

from importlib import import_module

from netchu.core.errors import run_main

if __name__ == "__main__":
    run_main(lambda: import_module("netchu.synthesis.poem_lines").main())  # within: it may miss a library
