"""What anything at the broker may take, in bytes: a stranger's costs no more before it is believed.

A chunk is small: of a frame of 1280x720 some 30 KB.  The largest that a session of ours sends is
an undivided frame of 3840x2160 as a JPEG, up to 5 MB; its raw pixels are 25 MB, and have to be
cut.  What the broker itself should refuse (``proto-max-bulk-len``) has room for that, for what is
around it and for blobs, which have half of it at most.
"""

from __future__ import annotations

from typing import Final

#: A chunk or a result, encoded: what a task's message or an entry of the results may carry.
MAX_BODY: Final = 8 << 20
#: What is around it: headers and properties, of which ours have 700.
MAX_HEAD: Final = 1 << 14
#: A message in JSON, such as remote control's, or a chunk from a plain Celery application, in which
#: it takes 1.8 times its size.  Read, it is up to twenty times as large.
MAX_JSON: Final = 1 << 20
#: Any one value: what ``proto-max-bulk-len`` should be.
MAX_BULK: Final = 16 << 20
#: The messages that a worker holds and has not begun, together.
MAX_HELD: Final = 32 << 20
#: One reply of the broker, whatever was asked.
MAX_REPLY: Final = 2 * MAX_BULK
#: What one read of results asks for: see :mod:`p2c2g.messaging.inbox`.
MAX_READ: Final = MAX_BULK
#: What monitors are shown of a task's arguments, in letters; Celery cuts it after half of them.
MAX_SHOWN: Final = 2048
