"""Trained voices of one owner, their cards, and why one may not be used. Nothing here knows a job."""
