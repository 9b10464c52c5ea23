"""Sidestream: live phone calls in over SIP, their audio out to a Session Recording Server by SIPREC."""

__version__ = "0.1.0"
