"""A loaded model: lent for forward passes, with adapters, sampling of codes, and the codec."""
