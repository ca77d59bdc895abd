"""What is received, and what is delivered: arrivals, instances, deliveries, worklists.

Revision 0004 after 0003.
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the revision."""
    _create_reception()
    _create_delivery()
    _create_worklist()
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(sa.Column("predecessor_id", sa.Uuid()))


def downgrade() -> None:
    """Undo the revision."""
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_column("predecessor_id")
    for table in (
        "workitems",
        "commitments",
        "delivered_objects",
        "deliveries",
        "destinations",
        "suspects",
        "instances",
        "arrivals",
    ):
        op.drop_table(table)


def _create_reception() -> None:
    """Make the tables of what is received."""
    op.create_table(
        "arrivals",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_instance_uid", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("revision", sa.Integer(), server_default="0", nullable=False),
        sa.Column("first_at", sa.Float(), nullable=False),
        sa.Column("last_at", sa.Float(), nullable=False),
        sa.Column("look_at", sa.Float(), nullable=False),
        sa.Column("looks", sa.Integer(), server_default="0", nullable=False),
        sa.Column("taken_at", sa.Float()),
        sa.Column("expected", sa.Integer()),
        sa.Column("expected_uids", sa.JSON()),
        sa.Column("why", sa.Text()),
        sa.CheckConstraint("state IN ('arriving', 'taken')", name=op.f("ck_arrivals_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_arrivals")),
        sa.UniqueConstraint("study_instance_uid", name=op.f("uq_arrivals_study_instance_uid")),
    )
    op.create_index(op.f("ix_arrivals_state"), "arrivals", ["state", "look_at"])
    op.create_table(
        "instances",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("arrival_id", sa.Integer(), nullable=False),
        sa.Column("sop_instance_uid", sa.String(64), nullable=False),
        sa.Column("series_instance_uid", sa.String(64), nullable=False),
        sa.Column("sop_class_uid", sa.String(64), nullable=False),
        sa.Column("transfer_syntax_uid", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("relative_path", sa.Text(), nullable=False),
        sa.Column("sender", sa.String(80), nullable=False),
        sa.Column("received_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["arrival_id"],
            ["arrivals.id"],
            name=op.f("fk_instances_arrival_id_arrivals"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instances")),
        sa.UniqueConstraint("sop_instance_uid", name=op.f("uq_instances_sop_instance_uid")),
    )
    op.create_index(
        op.f("ix_instances_arrival_id"), "instances", ["arrival_id", "series_instance_uid"]
    )
    op.create_table(
        "suspects",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_instance_uid", sa.String(64)),
        sa.Column("sop_instance_uid", sa.String(64)),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("relative_path", sa.Text(), nullable=False),
        sa.Column("sender", sa.String(80), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suspects")),
        sa.UniqueConstraint("sha256", name=op.f("uq_suspects_sha256")),
    )
    op.create_index(op.f("ix_suspects_sop_instance_uid"), "suspects", ["sop_instance_uid"])
    op.create_index(op.f("ix_suspects_study_instance_uid"), "suspects", ["study_instance_uid"])


def _create_delivery() -> None:
    """Make the tables of what is delivered."""
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("destination", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("not_before", sa.Float()),
        sa.Column("owner", sa.String(255)),
        sa.Column("lease_until", sa.Float()),
        sa.Column("sent_s", sa.Float()),
        sa.Column("error", sa.String(128)),
        sa.Column("reason", sa.Text()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_s", sa.Float(), nullable=False),
        sa.Column("done_s", sa.Float()),
        sa.CheckConstraint(
            "state IN ('waiting', 'sending', 'confirming', 'done', 'refused', 'blocked', 'held', "
            "'cancelled')",
            name=op.f("ck_deliveries_state"),
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_deliveries_job_id_jobs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("job_id", "destination", name=op.f("uq_deliveries_job_id")),
    )
    op.create_index(
        op.f("ix_deliveries_destination"), "deliveries", ["destination", "state", "rank", "id"]
    )
    op.create_table(
        "delivered_objects",
        sa.Column("delivery_id", sa.Integer(), nullable=False),
        sa.Column("relative_path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("sent_sha256", sa.String(64), nullable=False),
        sa.Column("sop_class_uid", sa.String(64)),
        sa.Column("sop_instance_uid", sa.String(64)),
        sa.Column("series_instance_uid", sa.String(64)),
        sa.Column("study_instance_uid", sa.String(64)),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("is_confirmed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["deliveries.id"],
            name=op.f("fk_delivered_objects_delivery_id_deliveries"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("delivery_id", "relative_path", name=op.f("pk_delivered_objects")),
    )
    op.create_table(
        "destinations",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("closed_until", sa.Float()),
        sa.Column("held", sa.Text()),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_destinations")),
    )
    op.create_table(
        "commitments",
        sa.Column("transaction_uid", sa.String(64), nullable=False),
        sa.Column("delivery_id", sa.Integer(), nullable=False),
        sa.Column("asked_at", sa.Float(), nullable=False),
        sa.Column("answered_at", sa.Float()),
        sa.Column("committed", sa.JSON()),
        sa.Column("failed", sa.JSON()),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["deliveries.id"],
            name=op.f("fk_commitments_delivery_id_deliveries"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("transaction_uid", name=op.f("pk_commitments")),
    )
    op.create_index(op.f("ix_commitments_delivery_id"), "commitments", ["delivery_id"])


def _create_worklist() -> None:
    """Make the table of procedure steps."""
    op.create_table(
        "workitems",
        sa.Column("sop_instance_uid", sa.String(64), nullable=False),
        sa.Column("worklist", sa.String(64), nullable=False),
        sa.Column("transaction_uid", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("study_instance_uid", sa.String(64)),
        sa.Column("job_ids", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("progress", sa.Integer(), server_default="0", nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sop_instance_uid", name=op.f("pk_workitems")),
    )
    op.create_index(op.f("ix_workitems_study_instance_uid"), "workitems", ["study_instance_uid"])
