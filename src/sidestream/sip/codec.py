"""The door to the native codec (crates/sip-codec): `native` is None where it is not built or not wanted.

Everything works without it, with the same results; `headers` and `message` ask it first where it is there.
SIDESTREAM_SIP_CODEC=python leaves it out, for tests and comparisons.
"""

import os

try:
    from sidestream import _native
except ImportError:
    _native = None  # type: ignore[assignment]

native = None if os.environ.get("SIDESTREAM_SIP_CODEC") == "python" else _native
