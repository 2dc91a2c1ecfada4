"""Makes the demo checkpoint: a small Higgs Audio v2 that speaks a few hundred words, from teacher speech to a folder."""
