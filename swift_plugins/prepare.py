"""``python -m swift_plugins.prepare``: the public name of :mod:`studio.datasets.rows.preparing`."""

from __future__ import annotations

import sys

from studio.datasets.rows.preparing import main

if __name__ == "__main__":
    sys.exit(main())
