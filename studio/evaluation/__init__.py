"""Which checkpoint is better: figures of takes, and the protocols that published figures follow."""
