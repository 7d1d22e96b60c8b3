"""The command: python -m netchu.export, see `targets`."""

from netchu.core.errors import run_main
from netchu.export.targets import main

if __name__ == "__main__":
    run_main(main)
