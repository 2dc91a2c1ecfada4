"""What can be measured in a waveform: noise, clipping, echo, bandwidth, its best stretch. Nothing here judges."""
