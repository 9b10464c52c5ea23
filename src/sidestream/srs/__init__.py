"""The reference SRS: answers SIPREC INVITEs, records their streams and shows the recordings.

`server.SrsServer` is the door, `web.create_srs_web` the pages. The room shares the wire formats of `siprec` with the
client side and nothing else, so that the two cannot agree on one mistake.
"""
