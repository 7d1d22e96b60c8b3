"""Read a folder of line images into a submission file: python infer.py --images DIR; the same as `netchu infer`."""

from netchu.commands.infer import main
from netchu.core.errors import run_main

if __name__ == "__main__":
    run_main(main)
