"""Higgs Voice Studio: clone voices with Higgs Audio v2 and fine-tune it with MS-Swift."""

__version__ = "0.1.0"
