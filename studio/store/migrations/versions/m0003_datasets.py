"""Named sets of utterances: recordings, who speaks, and every change."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _of_dataset() -> sa.Column:
    return sa.Column("dataset_id", sa.String(), sa.ForeignKey("dataset.id", ondelete="CASCADE"), nullable=False)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "dataset",
        sa.Column("id", sa.String(), primary_key=True, nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_key", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("source", sa.JSON(), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("pairing", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.UniqueConstraint("owner", "name_key", name="uq_dataset_owner_name"),
    )
    op.create_index("ix_dataset_owner", "dataset", ["owner"])
    op.create_table(
        "speaker",
        sa.Column("id", sa.String(), primary_key=True, nullable=False),
        _of_dataset(),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("consent_ground", sa.String(), nullable=False),
        sa.Column("consent_wording", sa.String(), nullable=False),
        sa.Column("consent_statement", sa.String(), nullable=False),
        sa.Column("consent_recorded_at", sa.DateTime(), nullable=True),
        sa.Column("consent_withdrawn_at", sa.DateTime(), nullable=True),
        sa.UniqueConstraint("dataset_id", "name", name="uq_speaker_dataset_name"),
    )
    op.create_table(
        "recording",
        sa.Column("id", sa.String(), primary_key=True, nullable=False),
        _of_dataset(),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("sample_rate", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("synthetic", sa.Boolean(), nullable=False),
        sa.UniqueConstraint("dataset_id", "sha256", name="uq_recording_dataset_sha256"),
    )
    recording = sa.ForeignKey("recording.id", ondelete="CASCADE")
    op.create_table(
        "utterance",
        sa.Column("id", sa.String(), primary_key=True, nullable=False),
        _of_dataset(),
        sa.Column("recording_id", sa.String(), recording, nullable=False),
        sa.Column("position", sa.Float(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("place", "name")),
        *(sa.Column(name, sa.Float(), nullable=False) for name in ("start", "end")),
        *(
            sa.Column(name, sa.String(), nullable=False)
            for name in ("text", "imported_text", "speaker", "language", "scene", "state", "split", "sha256")
        ),
        sa.Column("measures", sa.JSON(), nullable=False),
        sa.Column("suspicions", sa.JSON(), nullable=False),
        sa.Column("suspicion", sa.Float(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
    )
    for column in ("recording_id", "state", "suspicion"):
        op.create_index(f"ix_utterance_{column}", "utterance", [column])
    op.create_table(
        "edit",
        sa.Column("id", sa.Integer(), primary_key=True, nullable=False),
        _of_dataset(),
        sa.Column("made_at", sa.DateTime(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.Column("undone_at", sa.DateTime(), nullable=True),
    )
    for table in ("speaker", "recording", "utterance", "edit"):
        op.create_index(f"ix_{table}_dataset_id", table, ["dataset_id"])
