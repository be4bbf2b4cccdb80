"""Tests of the training; ``make test-training`` runs them, since they need PyTorch and ONNX."""
