"""Starts the studio: ``python app.py``; also the entry of the Hugging Face Space and of the Docker image."""

import sys

from studio.errors import StudioError
from studio.settings import get_settings
from studio.ui.page import serve

if __name__ == "__main__":
    try:
        serve(get_settings())
    except StudioError as error:
        sys.exit(str(error))
