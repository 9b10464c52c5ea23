"""`python -m sidestream`."""

from sidestream.cli.main import main

main()
