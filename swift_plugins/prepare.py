"""``python -m swift_plugins.prepare``: the public name of :mod:`studio.datasets.importing`."""

from __future__ import annotations

import sys

from studio.datasets.importing import main

if __name__ == "__main__":
    sys.exit(main())
