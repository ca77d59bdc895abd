"""Insertions that say what is done if the row is there already, as each database words them."""

from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql


def insertion(dialect: str, table: Any) -> "postgresql.Insert | sqlite.Insert":  # noqa: ANN401 - a table or its class
    """Return an insertion into a table.

    Parameters
    ----------
    dialect
        Name of the database's dialect.
    table
        The table, or the class of its rows.
    """
    if dialect != "postgresql":
        return sqlite.insert(table)
    # Only now: whoever has a PostgreSQL ledger has loaded it, and most have none.
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)
