"""The decision of the rules that a job was submitted by.

Revision 0003 after 0002.
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the revision."""
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(sa.Column("routing", sa.JSON()))


def downgrade() -> None:
    """Undo the revision."""
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_column("routing")
