"""A client of `arcwise serve`, with the calls of a `Recogniser`; it needs nothing but the core.

client            the calls
sending           images on their way: which are sent together, and in which form
connection        requests, answers and errors over HTTP
reading           plain JSON → frozen values
messages          what server and client say to each other of images
gallery_messages  and of galleries
"""

from arcwise.client.client import Client

__all__ = ["Client"]
