"""What readers said of results, which the database lets nobody change.

Revision 0009 after 0008.
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | None = None
depends_on: str | None = None

TABLES = ("review_corrections", "review_readings")
STATES = ("open", "accepted", "edited", "rejected", "second opinion", "disagreement")

REFUSAL = "readings and corrections are only added"
"""What the database says to whoever changes or removes one."""


def upgrade() -> None:
    """Apply the revision."""
    op.create_table(
        "review_corrections",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("author", sa.String(255), nullable=False),
        sa.Column("display_name", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_corrections")),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_review_corrections_job_id_jobs")
        ),
    )
    op.create_index(op.f("ix_review_corrections_job_id"), "review_corrections", ["job_id"])
    op.create_table(
        "review_readings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("reviewer", sa.String(255), nullable=False),
        sa.Column("display_name", sa.String(255), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(64)),
        sa.Column("words", sa.Text()),
        sa.Column("correction_id", sa.Uuid()),
        sa.Column("result_digest", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("successor_job_id", sa.Uuid()),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_readings")),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_review_readings_job_id_jobs")
        ),
        sa.ForeignKeyConstraint(
            ["correction_id"],
            ["review_corrections.id"],
            name=op.f("fk_review_readings_correction_id_review_corrections"),
        ),
        sa.UniqueConstraint("job_id", "number", name=op.f("uq_review_readings_job_id")),
        sa.CheckConstraint(
            f"state IN ({', '.join(map(repr, STATES))})", name=op.f("ck_review_readings_state")
        ),
    )
    for column in ("job_id", "successor_job_id"):
        op.create_index(op.f(f"ix_review_readings_{column}"), "review_readings", [column])
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgresql()
    else:
        _guard_sqlite()


def downgrade() -> None:
    """Undo the revision."""
    for table in reversed(TABLES):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_review_change()")


def _guard_sqlite() -> None:
    """Refuse changes and removals."""
    for table in TABLES:
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
            )


def _guard_postgresql() -> None:
    """Refuse changes, removals and truncation."""
    op.execute(
        "CREATE FUNCTION refuse_review_change() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$"
    )
    for table in TABLES:
        op.execute(
            f"CREATE TRIGGER {table}_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_review_change()"
        )
