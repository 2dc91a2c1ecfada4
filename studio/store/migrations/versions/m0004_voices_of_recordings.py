"""Recordings of sets that a voice of the library speaks in: whose consent they need."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; what is there was recorded, or came from a file."""
    # Not in a batch: that makes the table anew, and with the old one its utterances would go.
    op.add_column("recording", sa.Column("voices", sa.JSON(), nullable=False, server_default="[]"))
