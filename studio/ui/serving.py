"""The page as a whole, and the page for listeners beside it: how they are served."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from typing import Any

from studio.errors import StudioError
from studio.services import Services
from studio.settings import Settings, on_space

log = logging.getLogger(__name__)

QUEUE_LOOK_SECONDS = 0.02
"""How late an event may begin where nothing else goes on."""


def serve(settings: Settings, *, block: bool = True) -> Any:
    """Build the page and serve it.

    Returns:
        The launched ``gr.Blocks`` where ``block`` is False.

    Raises:
        StudioError: the port is taken, the home cannot be written, or half a login is set.
    """
    if bool(settings.username) != bool(settings.password):
        # Half a login must not become an open door.
        raise StudioError("A login needs both: set STUDIO_USERNAME and STUDIO_PASSWORD, or neither.")
    services = Services(settings)
    page = build_page(settings, services)
    auth = (settings.username, settings.password) if settings.username and settings.password else None
    from starlette.middleware import Middleware

    from studio.ui.theme import BOOTH_CSS_FILE, CSS_FILE, JS_FILE, studio_theme
    from studio.ui.visitors import VisitorCookie
    from studio.ui.vote_page import VotePages

    try:
        page.launch(
            server_name="0.0.0.0" if on_space() else settings.host,  # noqa: S104  a Space is reached through its proxy
            server_port=settings.port or _free_port(settings.host),
            theme=studio_theme(),
            css_paths=[CSS_FILE, BOOTH_CSS_FILE],
            head=f"<script>{JS_FILE.read_text(encoding='utf-8')}</script>",
            app_kwargs={"middleware": [Middleware(VisitorCookie)], "routes": VotePages(services).routes},
            auth=auth,
            allowed_paths=[],
            max_file_size=settings.max_upload_mb * 10**6,
            show_error=False,
            run_history=False,  # other people's voices
            footer_links=[],
            quiet=True,  # Gradio would advertise a public link
            prevent_thread_lock=True,
        )
    except OSError as error:
        if "empty port" not in str(error):
            raise
        raise StudioError(
            f"Port {settings.port} on {settings.host} cannot be used: stop the program that has it, or set STUDIO_PORT; "
            "STUDIO_HOST must be an address of this machine."
        ) from error
    sys.stdout.write(f"Running on local URL: {page.local_url}\n")
    sys.stdout.flush()
    if block:
        page.block_thread()
    return page


def _free_port(host: str) -> int:
    import socket

    try:
        with socket.socket() as probe:
            probe.bind((host, 0))
            return probe.getsockname()[1]
    except OSError as error:
        raise StudioError(
            f"{host} is no address of this machine: set STUDIO_HOST to 127.0.0.1, or to 0.0.0.0 to let others in."
        ) from error


def build_page(settings: Settings, services: Services | None = None) -> Any:
    """The ``gr.Blocks`` of the studio, not yet launched. Loads no model."""
    _prepare_environment(settings)  # before Gradio is imported, which reads it then
    from studio.training.execution.scheduler import Scheduler
    from studio.ui.layout import lay_out

    services = services or Services(settings)
    page = lay_out(services)
    Scheduler(settings, services.store, services.host, lambda: services.generations.speaking).start()
    threading.Thread(target=_clear_every_hour, args=(services,), daemon=True).start()
    queued = page.queue(default_concurrency_limit=8, max_size=64)
    # Gradio looks a thousand times a second whether somebody asked for something: a twentieth of a core where nobody did.
    queued._queue.sleep_when_free = QUEUE_LOOK_SECONDS
    return queued


def _clear_every_hour(services: Services) -> None:
    while True:
        try:
            services.clear_remains()
        except Exception:  # whatever it is, the next hour must come
            log.exception("remains were not cleared")
        time.sleep(3600)


def _prepare_environment(settings: Settings) -> None:
    """What Gradio reads from the environment when it is imported."""
    try:
        settings.page_cache_folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StudioError(
            f"The studio's folder {settings.home} cannot be written ({error.strerror}): set STUDIO_HOME to another."
        ) from error
    _reach_ourselves(settings.host)
    os.environ["GRADIO_TEMP_DIR"] = str(settings.page_cache_folder)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    # Gradio asks matplotlib at the first click which screen it draws on, and nothing here draws.
    os.environ.setdefault("MPLBACKEND", "agg")


def _reach_ourselves(host: str) -> None:
    """Gradio looks at its own page when it starts; a proxy for the outside world must not stand between."""
    for name in ("NO_PROXY", "no_proxy"):
        kept = [entry for entry in os.environ.get(name, "").split(",") if entry.strip()]
        os.environ[name] = ",".join(dict.fromkeys([*kept, "localhost", "127.0.0.1", "::1", host]))
