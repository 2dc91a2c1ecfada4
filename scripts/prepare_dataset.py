"""``python scripts/prepare_dataset.py``: the same as ``python -m swift_plugins.prepare``, from any folder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from studio.datasets.rows.preparing import main

if __name__ == "__main__":
    sys.exit(main())
