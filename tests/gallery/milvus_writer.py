"""A process that enrols until it is killed, made by forking one that has everything loaded.

Reads lines `address first` from its input; for each, a child enrols batches of five and removes
some, prints what is acknowledged, and never ends.
"""

from __future__ import annotations

import os
import sys

# Loaded before the forks.
import faiss  # noqa: F401
import milvus_lite.adapter.grpc.server  # noqa: F401

import arcwise.gallery.milvus  # noqa: F401
from arcwise.gallery import NewTemplate, open_gallery
from tests.gallery.server_stores import DIM, batch_vectors


def write(address: str, batch: int) -> None:
    with open_gallery(address, create=True, dim=DIM) as gallery:
        print("open", flush=True)
        while True:
            vectors = batch_vectors(batch)
            images = [b"image" * 20_000, None, b"image", None, None]
            items = [
                NewTemplate(f"p{batch}", one, {"batch": batch}, None, image)
                for one, image in zip(vectors, images, strict=True)
            ]
            receipt = gallery.enrol(items)
            print("enrolled", batch, receipt.templates[0], flush=True)
            if batch % 2:
                print("removing", batch - 1, flush=True)
                gallery.remove(f"p{batch - 1}")
                print("removed", batch - 1, flush=True)
            batch += 1


if __name__ == "__main__":
    for line in sys.stdin:
        child = os.fork()
        if not child:
            address, first = line.split()
            write(address, int(first))
        print("child", child, flush=True)
        os.waitpid(child, 0)
        print("ended", flush=True)
