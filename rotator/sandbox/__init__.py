"""A stand-in for Qlik Sense Enterprise on Windows: repository, proxies and their sessions, listening on loopback.

It imports nothing of rotator and shares no code with its client, so that a misunderstanding of one is not one of both.
"""
