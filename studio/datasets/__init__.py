"""Rows and recordings on their way to training: imported, uploaded, looked through. Nothing here knows a trainer."""
