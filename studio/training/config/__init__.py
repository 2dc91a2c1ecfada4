"""What is asked of a training: presets, hyperparameters, the arguments of ms-swift."""
