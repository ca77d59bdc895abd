"""The record of a site: what is forgotten, what is kept for how long, what is copied away."""
