"""Versions of models and their roles; the role of the version that a job is done by.

Revision 0007 after 0006.
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | None = None
depends_on: str | None = None

ROLES = ("imported", "enabled", "shadow", "canary", "live", "retired")
"""What a version may do."""


def upgrade() -> None:
    """Apply the revision."""
    op.create_table(
        "model_versions",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("analysis", sa.String(64), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("share", sa.Float()),
        sa.Column("before", sa.String(64)),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            f"role IN ({', '.join(repr(role) for role in ROLES)})",
            name=op.f("ck_model_versions_role"),
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_model_versions")),
        sa.UniqueConstraint("analysis", "name", "version", name=op.f("uq_model_versions_analysis")),
    )
    op.create_index(op.f("ix_model_versions_analysis"), "model_versions", ["analysis"])
    for role in ("live", "canary"):
        where = sa.text(f"role = '{role}'")
        op.create_index(
            op.f(f"uq_model_versions_{role}"),
            "model_versions",
            ["analysis"],
            unique=True,
            sqlite_where=where,
            postgresql_where=where,
        )
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(sa.Column("role", sa.String(16), nullable=False, server_default="live"))


def downgrade() -> None:
    """Undo the revision."""
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_column("role")
    op.drop_table("model_versions")
