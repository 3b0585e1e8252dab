"""`python -m target_service`: read the configuration, print it, and supervise until told to stop."""

import asyncio
import json
import logging
import sys

from target_service.config import EXIT_USAGE, parse
from target_service.secrets import log_masked, secrets_of
from target_service.sockets import AddressInUseError
from target_service.supervisor import Supervisor


def main() -> int:
    """Run the service; returns the exit code: 0 after a clean stop, 2 for a bad configuration."""
    config = parse(sys.argv[1:])
    log_masked(secrets_of(config.store, config.admin_token), logging.INFO)
    sys.stderr.write(f"configuration {json.dumps(config.without_secrets())}\n")
    try:
        return asyncio.run(Supervisor(config).run())
    except AddressInUseError as error:
        sys.stderr.write(f"target_service: error: argument --port or --admin-port: {error}\n")
        return EXIT_USAGE


if __name__ == "__main__":
    sys.exit(main())
