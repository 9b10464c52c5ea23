"""The control side as a measured process, and the peers that keep it busy."""
