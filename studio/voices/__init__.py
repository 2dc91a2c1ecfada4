"""The voice library: whose voice, recorded how, saying what, used by what right."""
