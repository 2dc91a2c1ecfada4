"""Voices with their clips and consent, and takes."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "voice",
        sa.Column("id", sa.String(), primary_key=True, nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_key", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("notes", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("consent_ground", sa.String(), nullable=False),
        sa.Column("consent_wording", sa.String(), nullable=False),
        sa.Column("consent_statement", sa.String(), nullable=False),
        sa.Column("consent_recorded_at", sa.DateTime(), nullable=False),
        sa.Column("consent_withdrawn_at", sa.DateTime(), nullable=True),
        sa.UniqueConstraint("owner", "name_key", name="uq_voice_owner_name"),
    )
    op.create_index("ix_voice_owner", "voice", ["owner"])
    op.create_table(
        "clip",
        sa.Column("id", sa.String(), primary_key=True, nullable=False),
        sa.Column("voice_id", sa.String(), sa.ForeignKey("voice.id", ondelete="CASCADE"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("file", sa.String(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("sample_rate", sa.Integer(), nullable=False),
        sa.Column("transcript", sa.String(), nullable=False),
        sa.Column("words", sa.JSON(), nullable=False),
        sa.Column("transcript_model", sa.String(), nullable=False),
        sa.Column("needs_check", sa.Boolean(), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("denoised_with", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_clip_voice_id", "clip", ["voice_id"])
    op.create_table(
        "take",
        sa.Column("id", sa.String(), primary_key=True, nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("voices", sa.JSON(), nullable=False),
        sa.Column("checkpoint", sa.String(), nullable=False),
        sa.Column("adapter", sa.String(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("sample_rate", sa.Integer(), nullable=False),
        sa.Column("elapsed", sa.Float(), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("starred", sa.Boolean(), nullable=False),
        sa.Column("consent_withdrawn_at", sa.DateTime(), nullable=True),
    )
    op.create_index("ix_take_owner", "take", ["owner"])
    op.create_index("ix_take_created_at", "take", ["created_at"])
