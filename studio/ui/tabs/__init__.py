"""One module a tab: its layout and its wiring, no logic."""
