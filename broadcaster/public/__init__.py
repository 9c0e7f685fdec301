"""The public server: page, feeds and files for residents, in a process of its own.

It imports nothing of the core, reads only the public directory, and so stands when the daemon
and the database are dead. `python -m broadcaster.public --directory DIR --listen HOST:PORT`.
"""

from broadcaster.public.server import serve

__all__ = ["serve"]
