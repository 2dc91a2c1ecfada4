"""Files of training rows: what is in them, whose voices they are, and how they come in."""
