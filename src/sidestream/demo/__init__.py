"""The demo: a platform, two phones that talk, an application that listens, and a report that judges what came out."""
