"""Training and export of the perfusion networks."""
