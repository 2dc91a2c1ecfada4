"""A supervisor that began before an upgrade still starts this module; ``execution/registration.py`` is what it means."""

from __future__ import annotations

import sys

from studio.training.execution.registration import main

if __name__ == "__main__":
    sys.exit(main())
