"""Models that hear: where speech is, what is said, how many speak, what is noise. Each is loaded when first needed."""
