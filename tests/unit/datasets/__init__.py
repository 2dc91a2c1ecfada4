"""Data sets: read, kept, changed, judged, given away."""
