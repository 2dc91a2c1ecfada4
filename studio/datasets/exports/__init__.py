"""Sets leave as files: for others, and for a training, with what is heard before each row."""
