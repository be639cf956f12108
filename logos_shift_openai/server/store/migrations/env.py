"""Run migrations on the connection that was handed over, within its transaction.

By hand, for a new migration: `logos_shift_openai.server.store.migrate.upgrade` is the only caller.
"""

from __future__ import annotations

from alembic import context

from logos_shift_openai.server.store.schema import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables,
    transactional_ddl=False,  # the caller's transaction holds all of it
)
context.run_migrations()
