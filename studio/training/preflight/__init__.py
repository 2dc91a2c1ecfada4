"""Looks and computes before a run is started; starts nothing but the probe."""
