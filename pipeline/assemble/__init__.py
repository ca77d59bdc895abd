"""When a study that is received is whole, and what becomes of it then."""
