"""Train one run, or the runs of all folds: python train.py -C b0_192_f5 --fold 0; the same as `netchu train`."""

from netchu.commands.train import main
from netchu.core.errors import run_main

if __name__ == "__main__":
    run_main(main)
