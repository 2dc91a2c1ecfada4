"""Which checkpoint of a run is the best: asked of all of them on texts that were not trained, by number and by ear."""
