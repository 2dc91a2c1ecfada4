"""A training row: JSON in, a conversation out. No model."""

from studio.engine.rows.clip_paths import clip_paths, is_address, map_clip_paths
from studio.engine.rows.jsonl import read_rows
from studio.engine.rows.row import RowTurn, TrainingRow, parse_row

__all__ = [
    "RowTurn",
    "TrainingRow",
    "clip_paths",
    "is_address",
    "map_clip_paths",
    "parse_row",
    "read_rows",
]
