"""The public server: page, feeds and files for residents, in a process of its own.

It imports nothing of the core, reads only the public directory, and so stands when the daemon
and the database are dead. `python -m broadcaster.public --directory DIR --listen HOST:PORT`.
"""

import os

# Granian's allocator reads this when Granian is loaded. It takes one arena on a machine with one processor, and what
# connections keep then stands between what answers let go of, so that none is given back: 20 kB a connection, not 11.
# Buffers of 8 kB (2^13) are not kept in each thread: 3 kB less a connection.
os.environ.setdefault("_RJEM_MALLOC_CONF", "narenas:4,lg_tcache_max:12")

from broadcaster.public.server import serve

__all__ = ["serve"]
