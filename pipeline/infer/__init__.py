"""Model bundles and ONNX Runtime sessions."""
