"""A process that decodes frames: `python -m calcilens.imaging.worker`.

One JSON line in (a PixelSource), one JSON line out, followed by the pixels as bytes. It ends
when its input ends, so it cannot outlive the program that started it.
"""

from __future__ import annotations

import json
import sys
from typing import Any, BinaryIO

from calcilens.errors import PixelError
from calcilens.imaging.decode import PixelSource, decode


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer requests until there are no more."""
    for line in requests:
        payload = b""
        answer: dict[str, Any]
        try:
            pixels = decode(PixelSource(**json.loads(line)))
            payload = pixels.tobytes()
            answer = {"dtype": pixels.dtype.str, "shape": pixels.shape, "bytes": len(payload)}
        except PixelError as error:
            answer = {"error": str(error)}
        replies.write(json.dumps(answer).encode() + b"\n" + payload)
        replies.flush()


if __name__ == "__main__":
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(130)
