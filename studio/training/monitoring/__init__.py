"""Reads what a run wrote, and writes nothing."""
