"""Batch runs, and the studies of each.

Revision 0008 after 0007.
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | None = None
depends_on: str | None = None

STATES = ("waiting", "fetching", "submitted", "done", "failed", "refused", "skipped")


def upgrade() -> None:
    """Apply the revision."""
    op.create_table(
        "batches",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("source", sa.JSON(), nullable=False),
        sa.Column("analyses", sa.JSON(), nullable=False),
        sa.Column("output", sa.Text(), nullable=False),
        sa.Column("pause_requested", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_batches")),
    )
    op.create_table(
        "batch_studies",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("batch", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("study_instance_uid", sa.String(64)),
        sa.Column("root", sa.Text()),
        sa.Column("inputs", sa.JSON()),
        sa.Column("n_files", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger()),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("job_ids", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("began_at", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(
            f"state IN ({', '.join(repr(state) for state in STATES)})",
            name=op.f("ck_batch_studies_state"),
        ),
        sa.ForeignKeyConstraint(
            ["batch"],
            ["batches.name"],
            name=op.f("fk_batch_studies_batch_batches"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch_studies")),
        sa.UniqueConstraint("batch", "number", name=op.f("uq_batch_studies_batch")),
    )
    op.create_index(op.f("ix_batch_studies_batch"), "batch_studies", ["batch", "state", "number"])


def downgrade() -> None:
    """Undo the revision."""
    for table in ("batch_studies", "batches"):
        op.drop_table(table)
