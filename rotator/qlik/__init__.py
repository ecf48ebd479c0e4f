"""Qlik Sense: the repository service, test logins on proxies, and their sessions, over verified TLS."""
