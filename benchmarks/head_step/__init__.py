"""One step of a margin-softmax head: what `benchmarks/margin_softmax.py` measures, and how."""
