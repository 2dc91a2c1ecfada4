"""The errors for files that cannot be read, all in one place so that their sentences stay distinct and consistent."""

from studio import formatting
from studio.errors import StudioError


def not_found(name: str) -> StudioError:
    """For a path that leads nowhere."""
    return StudioError(f"The file {name} does not exist; check the name or choose the file again.")


def not_a_file(name: str) -> StudioError:
    """For a device, a pipe or a socket, which could block a read for ever."""
    return StudioError(f"{name} is not a regular file; choose an audio file.")


def is_folder(name: str) -> StudioError:
    """For a directory."""
    return StudioError(f"{name} is a folder, not an audio file; choose one of the files in it.")


def unreadable(name: str, reason: str) -> StudioError:
    """For a file the operating system will not open."""
    return StudioError(f"The file {name} cannot be opened ({reason}); check its permissions or choose another.")


def empty_file(name: str) -> StudioError:
    """For a file of 0 bytes."""
    return StudioError(f"The file {name} is empty (0 bytes); record or export it again.")


def is_text(name: str) -> StudioError:
    """For text under whatever suffix."""
    return StudioError(f"The file {name} contains text, not sound; choose an audio file.")


def not_audio(name: str) -> StudioError:
    """For content that no reader recognises."""
    return StudioError(
        f"The file {name} is not an audio file that can be read here; "
        "convert it to WAV, FLAC, MP3, OGG, Opus, M4A or WebM."
    )


def no_audio_stream(name: str) -> StudioError:
    """For a container that holds only pictures or subtitles."""
    return StudioError(f"The file {name} has no sound track; choose a recording with sound.")


def no_samples(name: str) -> StudioError:
    """For a proper audio file of zero length."""
    return StudioError(f"The file {name} has a sound track of zero length; record or export it again.")


def cut_short(name: str, found: float, announced: float) -> StudioError:
    """For a file that holds ``found`` of the ``announced`` seconds."""
    if formatting.seconds(found) != formatting.seconds(announced):
        figures = f"{formatting.seconds(found)} of its {formatting.seconds(announced)}"
    else:
        figures = f"{found:.4f} s of its {announced:.4f} s"
    return StudioError(
        f"The file {name} is damaged or cut short: only {figures} could be read; upload or export it again."
    )


def ends_early(name: str) -> StudioError:
    """For a file that ends before its own structure does, by how many seconds is not known."""
    return StudioError(
        f"The file {name} is damaged or cut short: it ends earlier than it announces; upload or export it again."
    )


def damaged(name: str) -> StudioError:
    """For a file that is recognised but cannot be decoded."""
    return StudioError(f"The file {name} is damaged or cut short and cannot be decoded; upload or export it again.")


def invalid_samples(name: str) -> StudioError:
    """For NaN or infinite samples, which are refused and never repaired."""
    return StudioError(f"The file {name} contains invalid (NaN or infinite) samples; export it again from its source.")


def implausible_rate(name: str, rate: int) -> StudioError:
    """For a sampling rate that no recording has."""
    return StudioError(
        f"The file {name} claims a sampling rate of {rate} Hz, which no recording of speech has; export it again."
    )


def too_long(name: str, seconds: float | None, max_seconds: float) -> StudioError:
    """For a file beyond the length limit; ``seconds`` is None where its length is not known."""
    length = "longer" if seconds is None else f"{formatting.seconds(seconds)} long, more"
    return StudioError(
        f"The file {name} is {length} than the limit of {formatting.seconds(max_seconds)}; use a part of it."
    )
