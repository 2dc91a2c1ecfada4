"""Runs the migrations on the connection that :class:`studio.store.store.Store` hands over."""

from alembic import context

from studio.store.comparison_tables import SQLModel  # and with it all others

connection = context.config.attributes["connection"]
# Alembic must not begin or commit: the store holds the write lock around all of it.
context.configure(
    connection=connection, target_metadata=SQLModel.metadata, render_as_batch=True, transactional_ddl=False
)
context.run_migrations()
