"""A training row: JSON in, a conversation out. No model."""

from studio.engine.rows.row import RowTurn, TrainingRow, parse_row, read_rows

__all__ = [
    "RowTurn",
    "TrainingRow",
    "parse_row",
    "read_rows",
]
