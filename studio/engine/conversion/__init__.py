"""From the original boson format into the transformers-native one: models, merged fine-tunes, LoRA adapters."""

from studio.engine.conversion.convert import ConversionReport, convert_checkpoint
from studio.engine.conversion.keys import native_key

__all__ = ["ConversionReport", "convert_checkpoint", "native_key"]
