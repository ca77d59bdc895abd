"""Reconstruction of undersampled multi-coil Cartesian k-space."""
