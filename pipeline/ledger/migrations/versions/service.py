"""What the service needs: waiting jobs, leases, the outbox, events, a clock.

Revision 0002 after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None

STATES = "state IN ('waiting', 'running', 'done', 'failed', 'quarantined', 'cancelled')"
STATES_BEFORE = "state IN ('running', 'done', 'failed')"

ADDED = (
    "lane",
    "priority",
    "attempts_allowed",
    "not_before",
    "owner",
    "lease_until",
    "cancel_requested",
    "input_root",
    "inputs",
    "configuration",
    "output",
)


def upgrade() -> None:
    """Apply the revision."""
    _drop_states()
    with op.batch_alter_table("jobs") as jobs:
        jobs.create_check_constraint(op.f("ck_jobs_state"), STATES)
        jobs.add_column(sa.Column("lane", sa.String(16), nullable=False, server_default="routine"))
        jobs.add_column(sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
        jobs.add_column(
            sa.Column("attempts_allowed", sa.Integer(), nullable=False, server_default="3")
        )
        jobs.add_column(sa.Column("not_before", sa.Float()))
        jobs.add_column(sa.Column("owner", sa.String(255)))
        jobs.add_column(sa.Column("lease_until", sa.Float()))
        jobs.add_column(
            sa.Column("cancel_requested", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        jobs.add_column(sa.Column("input_root", sa.Text()))
        jobs.add_column(sa.Column("inputs", sa.JSON()))
        jobs.add_column(sa.Column("configuration", sa.JSON()))
        jobs.add_column(sa.Column("output", sa.Text()))
        jobs.drop_index(op.f("ix_jobs_state"))
        jobs.create_index(op.f("ix_jobs_state"), ["state", "lease_until"])
    _create_outbox()
    _create_events()
    op.create_table(
        "clock",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("boot_id", sa.String(64), nullable=False),
        sa.Column("start_s", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clock")),
    )


def _drop_states() -> None:
    """Drop the check of the states; on SQLite it goes when the table is copied."""
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(op.f("ck_jobs_state"), "jobs", type_="check")


def _create_outbox() -> None:
    """Create the table of calls that are due."""
    op.create_table(
        "outbox",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("lane", sa.String(16), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("due", sa.Float(), nullable=False),
        sa.Column("rung", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_outbox")),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_outbox_job_id_jobs"), ondelete="CASCADE"
        ),
    )
    op.create_index(op.f("ix_outbox_lane"), "outbox", ["lane", "rung", "rank", "due"])


def _create_events() -> None:
    """Create the table of what happened."""
    op.create_table(
        "job_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event", sa.String(32), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(255)),
        sa.Column("detail", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_events")),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_job_events_job_id_jobs"), ondelete="CASCADE"
        ),
    )
    op.create_index(op.f("ix_job_events_job_id"), "job_events", ["job_id"])


def downgrade() -> None:
    """Undo the revision; jobs in states that it brought are failed."""
    for table in ("clock", "job_events", "outbox"):
        op.drop_table(table)
    op.execute(
        "UPDATE jobs SET state = 'failed' WHERE state IN ('waiting', 'quarantined', 'cancelled')"
    )
    _drop_states()
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_index(op.f("ix_jobs_state"))
        for column in ADDED:
            jobs.drop_column(column)
        jobs.create_check_constraint(op.f("ck_jobs_state"), STATES_BEFORE)
        jobs.create_index(op.f("ix_jobs_state"), ["state"])
