"""Readers of data sets that were published with lists and tables of their own."""
