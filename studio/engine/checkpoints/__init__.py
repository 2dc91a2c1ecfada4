"""Folders of a checkpoint: found, fetched, built, loaded."""

from studio.engine.checkpoints.default import (
    DEMO_FOLDER,
    DEMO_NAME,
    TINY_FOLDER,
    default_checkpoint,
    own_checkpoint,
    tiny_checkpoint,
)
from studio.engine.checkpoints.finding import (
    CODEC_TYPE,
    HUB_3B,
    HUB_CODEC,
    NATIVE_TYPE,
    ORIGINAL_TYPE,
    CheckpointFiles,
    checkpoint_kind,
    describe_checkpoint,
    find_checkpoint,
    is_hub_id,
    shown_name,
    weight_names,
)
from studio.engine.checkpoints.loading import Checkpoint, Precision, load_checkpoint, load_codec
from studio.engine.checkpoints.processor_files import CHAT_TEMPLATE, processor_settings
from studio.engine.checkpoints.scope import Scope, read_scope
from studio.engine.checkpoints.tiny import MARKER_FILE, build_tiny_checkpoint

__all__ = [
    "CHAT_TEMPLATE",
    "CODEC_TYPE",
    "Checkpoint",
    "CheckpointFiles",
    "HUB_3B",
    "HUB_CODEC",
    "MARKER_FILE",
    "NATIVE_TYPE",
    "ORIGINAL_TYPE",
    "Precision",
    "Scope",
    "DEMO_FOLDER",
    "DEMO_NAME",
    "TINY_FOLDER",
    "build_tiny_checkpoint",
    "checkpoint_kind",
    "default_checkpoint",
    "describe_checkpoint",
    "find_checkpoint",
    "is_hub_id",
    "load_checkpoint",
    "load_codec",
    "processor_settings",
    "read_scope",
    "shown_name",
    "own_checkpoint",
    "tiny_checkpoint",
    "weight_names",
]
