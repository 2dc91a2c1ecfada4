"""A module or a package for each tab: its layout and its wiring, no logic."""
