"""A user's mistake: one exception class, and how a script reports it.

Everything that a person can put right (a missing folder, a misspelt key, a truncated file) is raised as
`NetchuError` with one line that names the file, the field and the remedy. Scripts run their `main` through
`run_main`, which prints that line without a traceback and exits with status 2. A bug still shows its traceback.
"""

import sys
from collections.abc import Callable


class NetchuError(Exception):
    """A mistake that the user can put right; its text is one line that says where and how."""


def run_main(main: Callable[[], int | None]) -> None:
    """Run `main` and exit: 0 or its own status, 2 for a `NetchuError`, 130 for Ctrl-C."""
    try:
        status = main()
    except NetchuError as error:
        print(f"error: {error}", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = 130
    sys.exit(status or 0)
