"""Turn data sets into manifests: python prepare_ext_data.py PATH ... --out data; the same as `netchu prepare`."""

from netchu.commands.prepare import main
from netchu.core.errors import run_main

if __name__ == "__main__":
    run_main(main)
