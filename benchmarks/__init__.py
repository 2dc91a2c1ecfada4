"""What is claimed about speed and memory, as programs that print it beside a baseline."""
