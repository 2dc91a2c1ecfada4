"""Text and references to samples, through a loaded model."""
