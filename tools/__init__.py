"""Programs for whoever works on the studio."""
