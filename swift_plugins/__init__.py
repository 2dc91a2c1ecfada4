"""The ms-swift external plugin for Higgs Audio v2: ``register.py`` is the file that ms-swift is given, by ``launch.py``.

Prompt, codes and labels come from ``studio.engine``, which speaks with the same ones.
"""
