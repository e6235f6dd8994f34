"""The field's protocols at their published sizes: what `benchmarks/evaluation.py` measures."""
