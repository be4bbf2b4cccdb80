"""Where the upscalers' weights come from: recording, training, judging and export.

Kept apart from the installed package: nothing in ``p2c2g`` or ``p2c2g_workers`` imports it, and
only this folder needs PyTorch.  Its product is an ONNX file with its card.
"""
