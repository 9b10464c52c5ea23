"""Dialogs (RFC 3261 §12): plain data, and the rules that make and change it."""
