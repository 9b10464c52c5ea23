"""`sidestream check-config`: what is wrong with a configuration file, by line and key."""

import os
import sys
from pathlib import Path

from sidestream.app.config import ConfigError, load


def run_check_config(path: Path) -> int:
    """Print `file:line: key: message` for every problem, or one line that says it is right; the exit status, 0 or 1.

    Environment variables that override the file are checked with it, as `serve` would see them.
    """
    try:
        config = load(path, os.environ)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    counts = (
        f"{len(config.accounts)} accounts",
        f"{len(config.numbers)} numbers",
        f"{len(config.trunks)} trunks",
        f"{len(config.connectors)} connectors",
        f"{len(config.listeners)} listeners",
    )
    print(f"{path}: no problems ({', '.join(counts)})")
    return 0
