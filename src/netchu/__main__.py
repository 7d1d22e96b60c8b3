"""`python -m netchu VERB` is `netchu VERB`."""

from netchu.cli import run

if __name__ == "__main__":
    run()
