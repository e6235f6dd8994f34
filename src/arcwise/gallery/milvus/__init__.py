"""Galleries on Milvus, for more than one machine; needs the client pymilvus."""

from arcwise.gallery.milvus.store import MilvusGallery

__all__ = ["MilvusGallery"]
