"""Listening without knowing: who hears what in which order, sounds under names that tell nothing, votes, what they say."""
