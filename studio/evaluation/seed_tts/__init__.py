"""Seed-TTS-eval: takes of a published list, measured as its authors measure them."""
