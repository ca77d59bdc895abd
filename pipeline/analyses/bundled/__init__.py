"""Analyses that a declaration describes: what MONAI would do with a volume, in numpy."""
