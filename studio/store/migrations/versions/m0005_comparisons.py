"""Comparisons: systems, their takes, and whoever listens and votes."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _of(table: str, column: str = "") -> sa.Column:
    key = sa.ForeignKey(f"{table}.id", ondelete="CASCADE")
    return sa.Column(column or f"{table.removeprefix('comparison_')}_id", sa.String(), key, nullable=False)


def _columns(kind: type[sa.types.TypeEngine], *names: str, nullable: bool = False) -> list[sa.Column]:
    return [sa.Column(name, kind(), nullable=nullable) for name in names]


def _id() -> sa.Column:
    return sa.Column("id", sa.String(), primary_key=True, nullable=False)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "comparison",
        _id(),
        *_columns(sa.String, "owner", "name", "state", "sentence", "link"),
        *_columns(sa.DateTime, "created_at", "queued_at"),
        *_columns(sa.DateTime, "started_at", "ended_at", nullable=True),
        *_columns(sa.Integer, "pid", nullable=True),
        *_columns(sa.Float, "pid_started", nullable=True),
        *_columns(sa.JSON, "plan"),
        *_columns(sa.Integer, "seed"),
    )
    op.create_table(
        "comparison_system",
        _id(),
        _of("comparison"),
        *_columns(sa.Integer, "position"),
        *_columns(sa.String, "label", "kind"),
        *_columns(sa.JSON, "settings", "voices"),
    )
    op.create_table(
        "comparison_take",
        _id(),
        _of("comparison"),
        _of("comparison_system"),
        *_columns(sa.Integer, "text", "seed"),
        *_columns(sa.String, "state", "failure", "sha256"),
        *_columns(sa.JSON, "request", "report", "figures", "voices"),
        *_columns(sa.Boolean, "synthetic"),
        *_columns(sa.DateTime, "made_at", "consent_withdrawn_at", nullable=True),
        sa.UniqueConstraint("system_id", "text", "seed", name="uq_comparison_take"),
    )
    op.create_table(
        "listener",
        _id(),
        _of("comparison"),
        *_columns(sa.String, "name", "secret"),
        *_columns(sa.DateTime, "created_at"),
        *_columns(sa.DateTime, "revealed_at", nullable=True),
    )
    op.create_table(
        "trial",
        _id(),
        _of("listener"),
        *_columns(sa.Integer, "position"),
        _of("comparison_take", "left_take"),
        _of("comparison_take", "right_take"),
        *_columns(sa.String, "left_key", "right_key", "repeat_of"),
        *_columns(sa.DateTime, "created_at"),
        sa.UniqueConstraint("listener_id", "position", name="uq_trial_listener_position"),
    )
    op.create_table(
        "vote",
        sa.Column(
            "trial_id", sa.String(), sa.ForeignKey("trial.id", ondelete="CASCADE"), primary_key=True, nullable=False
        ),
        *_columns(sa.String, "choice", "reason"),
        *_columns(sa.DateTime, "made_at"),
    )
    indices = {
        "comparison": ("owner", "state", "link"),
        "comparison_system": ("comparison_id",),
        "comparison_take": ("comparison_id", "system_id"),
        "listener": ("comparison_id", "secret"),
        "trial": ("listener_id", "left_take", "right_take", "left_key", "right_key"),
    }
    for table, columns in indices.items():
        for column in columns:
            op.create_index(f"ix_{table}_{column}", table, [column])
