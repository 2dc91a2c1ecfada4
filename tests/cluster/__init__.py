"""Measuring on a real Ray of this machine; ``make test-ray``."""
