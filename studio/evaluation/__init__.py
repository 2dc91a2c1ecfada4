"""Evaluation: which system is better, by ear and by number."""
