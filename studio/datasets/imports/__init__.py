"""Sources become sets: read, decoded, listed."""
