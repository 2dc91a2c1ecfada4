"""What is told of a comparison to those who were not there: one HTML file that opens offline, CSV, JSON."""
