"""What votes say: figures of lists of votes; knows no store, no sound and no model."""
