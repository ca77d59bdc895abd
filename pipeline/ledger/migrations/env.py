"""Alembic's entry: runs the migrations on the connection that the ledger has opened."""

from alembic import context

from pipeline.ledger import (  # noqa: F401 - add their tables
    audit,
    batchtables,
    deliverytables,
    exchange,
    recordtables,
    reviews,
    signins,
    statistics,
    versions,
)
from pipeline.ledger.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite alters a table by copying it.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
