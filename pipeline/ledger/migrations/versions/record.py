"""What is forgotten, what may not be, and how far the audit log was sent.

Readings and corrections may be removed with a job that is being forgotten, and in no other way.

Revision 0011 after 0010.
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | None = None
depends_on: str | None = None

READ = ("review_corrections", "review_readings")
STATES = ("begun", "removed", "done")

REFUSAL = "readings and corrections are only added"
"""What the database says to whoever changes or removes one."""


def upgrade() -> None:
    """Apply the revision."""
    op.create_table(
        "forgettings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("plan", sa.JSON()),
        sa.Column("certificate", sa.String(64)),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_forgettings")),
        sa.CheckConstraint(
            f"state IN ({', '.join(map(repr, STATES))})", name=op.f("ck_forgettings_state")
        ),
    )
    op.create_table(
        "forgotten_jobs",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("forgetting_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_forgotten_jobs")),
        sa.ForeignKeyConstraint(
            ["forgetting_id"],
            ["forgettings.id"],
            name=op.f("fk_forgotten_jobs_forgetting_id_forgettings"),
            ondelete="CASCADE",
        ),
    )
    op.create_index(op.f("ix_forgotten_jobs_forgetting_id"), "forgotten_jobs", ["forgetting_id"])
    op.create_table(
        "legal_holds",
        sa.Column("study_instance_uid", sa.String(64), nullable=False),
        sa.Column("case", sa.String(64), nullable=False),
        sa.Column("actor", sa.String(255), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("study_instance_uid", name=op.f("pk_legal_holds")),
    )
    op.create_table(
        "audit_forwarding",
        sa.Column("target", sa.String(255), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("target", name=op.f("pk_audit_forwarding")),
    )
    _guard(with_job=True)


def downgrade() -> None:
    """Undo the revision."""
    _guard(with_job=False)
    for table in ("audit_forwarding", "legal_holds", "forgotten_jobs", "forgettings"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_review_removal()")


def _guard(*, with_job: bool) -> None:
    """Let a job's readings be removed with a job that is forgotten, or not at all."""
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgresql(with_job=with_job)
        return
    unless = "WHEN OLD.job_id NOT IN (SELECT job_id FROM forgotten_jobs) " if with_job else ""
    for table in READ:
        op.execute(f"DROP TRIGGER {table}_delete")
        op.execute(
            f"CREATE TRIGGER {table}_delete BEFORE DELETE ON {table} {unless}"
            f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
        )


def _guard_postgresql(*, with_job: bool) -> None:
    """Do it by a trigger of each row: one of a statement does not know the job."""
    if with_job:
        op.execute(
            "CREATE FUNCTION refuse_review_removal() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN IF NOT EXISTS (SELECT 1 FROM forgotten_jobs WHERE job_id = OLD.job_id) "
            "THEN RAISE EXCEPTION 'readings and corrections are only added'; END IF; "
            "RETURN OLD; END $$"
        )
    changes = "UPDATE OR TRUNCATE" if with_job else "UPDATE OR DELETE OR TRUNCATE"
    for table in READ:
        op.execute(f"DROP TRIGGER {table}_change ON {table}")
        op.execute(
            f"CREATE TRIGGER {table}_change BEFORE {changes} ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_review_change()"
        )
        if with_job:
            op.execute(
                f"CREATE TRIGGER {table}_removal BEFORE DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION refuse_review_removal()"
            )
        else:
            op.execute(f"DROP TRIGGER {table}_removal ON {table}")
