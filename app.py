"""Starts the studio: ``python app.py``; also the entry of the Hugging Face Space and of the Docker image."""

import argparse
import logging
import sys

from studio.errors import StudioError
from studio.settings import get_settings
from studio.ui.serving import serve


def main() -> None:
    """Read the few options that are also settings, and serve the page until it is stopped."""
    parser = argparse.ArgumentParser(description="Higgs Voice Studio. Every option is also a setting, STUDIO_…")
    parser.add_argument("--checkpoint", help="local folder or hub id of the checkpoint to speak with")
    parser.add_argument("--device", help="auto, cpu, cuda or mps")
    parser.add_argument("--host", help="address to listen on; 0.0.0.0 lets other machines in")
    parser.add_argument("--port", help="port to listen on; 0 takes any free one")
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("studio").setLevel(logging.INFO)
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    try:
        serve(get_settings().with_changes(**given))
    except StudioError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
