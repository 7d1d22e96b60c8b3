"""The command: python -m netchu.release, see `folder`."""

from netchu.core.errors import run_main
from netchu.release.folder import main

if __name__ == "__main__":
    run_main(main)
