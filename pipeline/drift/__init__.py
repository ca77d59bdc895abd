"""What studies are like, and whether the recent ones are like those of a reference."""
