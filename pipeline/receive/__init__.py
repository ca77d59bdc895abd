"""What comes in: kept on disk, recorded, and only then answered for."""
