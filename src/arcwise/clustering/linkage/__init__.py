"""Linkage clustering by graph convolution: a network says which neighbours are one identity.

Z. Wang, L. Zheng, Y. Li, S. Wang: Linkage Based Face Clustering via Graph Convolution Network,
CVPR 2019, arXiv 1903.11306 (L-GCN).
"""
