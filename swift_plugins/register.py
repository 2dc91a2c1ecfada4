"""The file for ``--external_plugins``: importing it makes all parts of the plugin known to ms-swift.

Bare ms-swift imports it by its path, so it finds the project's folder itself.
"""

import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
# ms-swift puts this folder itself in front, where modules called `model` or `dataset` would hide those of others.
sys.path[:] = [entry for entry in sys.path if entry != str(_HERE)]
if str(_HERE.parent) not in sys.path:
    sys.path.append(str(_HERE.parent))

import studio.engine  # noqa: E402, F401  installs the import guard
from swift_plugins import callbacks, dataset, model, optimizer, template  # noqa: E402

for _module in (model, template, dataset, optimizer, callbacks):
    _module.register()
