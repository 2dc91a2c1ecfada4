"""The command line: every service without a browser.

With ``--json`` exactly one JSON document goes to stdout; everything else goes to stderr. Exit code 0, or 1 with one
line on stderr that says what is wrong and what to do. Before that line there may be notices, a line each, about what was
done all the same.
"""

from studio.cli.root import app, main

__all__ = ["app", "main"]
