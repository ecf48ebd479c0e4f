"""rotator: JWT virtual proxies on Qlik Sense, and the rotation of their keys."""
