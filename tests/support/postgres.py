"""Ledgers on a PostgreSQL server of the tests' own."""

from uuid import uuid4

from sqlalchemy import create_engine, make_url, text

from pipeline.ledger.database import migrate_database, parse_url


def fresh_ledger(server: str, *, migrated: bool = True) -> str:
    """Make a database on a server, migrate its ledger unless told not to, and return its URL."""
    url = make_url(server).set(drivername="postgresql+psycopg")
    name = f"ledger_{uuid4().hex}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    place = url.set(database=name).render_as_string(hide_password=False)
    if migrated:
        migrate_database(parse_url(place))
    return place
