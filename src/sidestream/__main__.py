"""`python -m sidestream`."""

import sys

if sys.argv[1:2] == ["media"]:
    # The engine outlives control processes and is restarted in the midst of calls: it must start at once and stay
    # small, so it loads nothing of the control side.
    import typer

    from sidestream.cli.media import run_media

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(run_media)
    app(args=sys.argv[2:], prog_name="sidestream media")
else:
    from sidestream.cli.main import main

    main()
