"""What several tests need: generated inputs and models."""
