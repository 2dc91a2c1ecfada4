"""The ms-swift plugin for Higgs Audio v2. Empty until the training plugin lands (see docs/ARCHITECTURE.md)."""
