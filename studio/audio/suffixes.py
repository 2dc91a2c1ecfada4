"""How files with sound are called. What one really is shows when it is read; a name only decides what is looked at."""

SOUND_SUFFIXES = (
    ".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".aif", ".aiff", ".aifc", ".au", ".wma", ".caf", ".amr",
    ".w64", ".mp2",
)  # fmt: skip
"""In the order in which a name without a suffix is looked for."""
VIDEO_SUFFIXES = (".webm", ".mp4", ".mov", ".mkv", ".avi", ".m4v", ".3gp", ".mpg", ".mpeg")
"""Of these the sound is taken. Kinds that no decoder reads are among them: they are named then, and not passed over."""
