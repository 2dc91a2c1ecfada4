"""Several systems on the same texts and seeds: asked for, made in the background, kept, heard."""
