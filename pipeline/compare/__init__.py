"""Two versions of a model on the same series: how far they differ, and whether that may be."""
