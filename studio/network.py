"""Whether the model hub can be reached, found out in seconds."""

from __future__ import annotations

import os
import socket
from urllib.parse import urlsplit


def hub_reachable(timeout_seconds: float = 3.0) -> bool:
    """Whether the model hub takes a connection. One quick look, because the hub's client retries for half a minute."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    if any(os.environ.get(key) for key in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return True  # a proxy resolves names for us: only a real request could tell
    address = urlsplit(constants.ENDPOINT)
    port = address.port or (80 if address.scheme == "http" else 443)
    try:
        with socket.create_connection((address.hostname or "", port), timeout_seconds):
            return True
    except OSError:
        return False
