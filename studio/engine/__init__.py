"""The engine: the only package that holds a model. Knows nothing of Gradio, of SQLite or of where a user's files lie.

Importing it installs the guard of :mod:`studio.engine.compat` and loads nothing heavy.
"""

from studio.engine import compat

compat.install()
