"""Readers: each turns one form of data set into a manifest."""
