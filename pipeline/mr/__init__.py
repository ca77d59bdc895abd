"""The physics of MR raw data: k-space, coils, noise, sampling patterns. Arrays only, no files."""
