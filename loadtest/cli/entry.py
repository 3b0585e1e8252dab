"""Where `singlesday` begins: Ctrl-C ends it in a sentence, also while its modules are still being imported."""

import sys

from loadtest.exit_codes import INTERRUPTED
from loadtest.standard_output import outlast_readers


def main() -> None:
    """Run a command."""
    outlast_readers()
    try:
        from loadtest.cli.main import main as commands  # noqa: PLC0415 - what takes time to import

        commands()
    except KeyboardInterrupt:
        sys.stderr.write("stopped by Ctrl-C before anything began\n")
        sys.exit(INTERRUPTED)
