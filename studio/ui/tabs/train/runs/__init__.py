"""The runs: their list, and everything about the one that is chosen."""
