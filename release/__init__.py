"""What a release is made with: locks, bills of materials, the wheel. Not part of the product."""
