"""A phone for tests and the demo: SIP and RTP over sockets, with everything it sent and heard kept to look at."""
