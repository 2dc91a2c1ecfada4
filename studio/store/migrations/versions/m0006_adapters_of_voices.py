"""The trained voice that a voice is spoken with."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; no voice has one yet."""
    # Not in a batch: that makes the table anew, and with the old one its clips would go.
    op.add_column("voice", sa.Column("adapter", sa.String(), nullable=False, server_default=""))
    op.add_column("voice", sa.Column("adapter_strength", sa.Float(), nullable=False, server_default="1.0"))
