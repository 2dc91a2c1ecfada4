"""The one SQLite file of a home: opened, brought up to date, read and written."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlmodel import Session

from studio.errors import StudioError

LOCK_SECONDS = 5.0
"""How long to wait for another process that is writing."""
_MIGRATIONS = Path(__file__).parent / "migrations"


class Store:
    """Sessions on ``studio.db``: made, opened and brought up to the newest schema when first used. Safe in threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._engine: Engine | None = None
        self._lock = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees one state of the store and changes nothing."""
        with self._translated(), self._session(writes=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session that is committed at the end, or leaves no trace where anything is raised within."""
        with self._translated(), self._session(writes=True) as session:
            yield session
            session.commit()

    @contextmanager
    def _session(self, *, writes: bool) -> Iterator[Session]:
        engine = self._opened()
        with engine.connect().execution_options(writes=writes) as connection, Session(connection) as session:
            session.expire_on_commit = False  # records are read after the session, too
            yield session

    def _opened(self) -> Engine:
        with self._lock:
            if self._engine is None:
                self._make_folder()
                engine = create_engine(f"sqlite:///{self.path}", connect_args={"timeout": LOCK_SECONDS})
                event.listen(engine, "connect", _prepare)
                event.listen(engine, "begin", _begin)
                try:
                    _migrate(engine)
                except BaseException:
                    engine.dispose()
                    raise
                self._engine = engine
            return self._engine

    def _make_folder(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudioError(
                f"The studio's folder {self.path.parent.name} cannot be written ({error.strerror}): set STUDIO_HOME to "
                "another, or mend its permissions."
            ) from error

    def close(self) -> None:
        """Let go of the file; the next use opens it again."""
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
                self._engine = None

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """What SQLite raises for reasons that a user can mend, as a sentence."""
        try:
            yield
        except OperationalError as error:
            raise _sentence(error, self.path) from error
        except DatabaseError as error:
            if any(said in str(error.orig) for said in ("not a database", "malformed")):
                raise StudioError(
                    f"The library {self.path.name} is damaged and cannot be read: move it out of the studio's folder and "
                    "restore it from a copy, or begin anew without it."
                ) from error
            raise


def _prepare(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by us, below; pysqlite's own rules begin them too late
    cursor = connection.cursor()
    _use_wal(cursor)
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _use_wal(cursor: sqlite3.Cursor) -> None:
    """Write-ahead log: readers never wait for a writer, nor a writer for them."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            # Where several processes turn a new file over at once, SQLite refuses all but one of them without waiting.
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def _begin(connection: Connection) -> None:
    # A writer takes its lock at once: one that reads first and writes later could find that both want it.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")


def _migrate(engine: Engine) -> None:
    """Bring the schema up to date; under the write lock, so that two processes that start at once do it once."""
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    newest = ScriptDirectory.from_config(config).get_current_head()
    with engine.connect() as connection:
        present = MigrationContext.configure(connection).get_current_revision()
    if present == newest:
        return
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except Exception as error:
            if "Can't locate revision" in str(error):
                raise StudioError(
                    "The library was written by a newer version of the studio: update the studio, or set STUDIO_HOME "
                    "to another folder."
                ) from error
            raise


def _sentence(error: OperationalError, path: Path) -> StudioError:
    reason = str(error.orig).lower()
    if "locked" in reason or "busy" in reason:
        return StudioError(
            "The library is in use by another program that does not let go of it: close that program, or try again in a "
            "moment; nothing was changed."
        )
    if "full" in reason:
        return StudioError("The disk or quota is full, so nothing was saved: free some space and try again.")
    if "disk i/o" in reason:  # a quota, a limit on the size of files, a network folder that went away, a failing disk
        return StudioError(
            f"The library {path.name} cannot be written, perhaps because the disk or quota is full, so nothing was saved: "
            "free some space and look after the disk, then try again."
        )
    if "readonly" in reason or "unable to open" in reason:
        return StudioError(
            f"The library {path.name} cannot be opened for writing: mend the permissions of its folder, or set "
            "STUDIO_HOME to another."
        )
    if "already exists" in reason:
        return StudioError(
            f"The file {path.name} belongs to another program: move it out of the studio's folder, or set STUDIO_HOME to "
            "another."
        )
    raise error
