"""The rotator.toml that a sandbox writes beside its certificates."""

import base64
import json
import secrets
from collections.abc import Sequence
from pathlib import Path

from rotator.sandbox.certificates import write_private


MASTER_KEY_BYTES = 32


def write(folder: Path, qrs: str, rims: Sequence[tuple[str, int]]) -> Path:
    """A working configuration for the site at `qrs`; `rims` are host and port of each proxy but the central one."""
    master = folder / "master.key"
    if not master.exists():
        write_private(master, base64.b64encode(secrets.token_bytes(MASTER_KEY_BYTES)) + b"\n")
    routes = "".join(f'"{host}" = {{ connect = "127.0.0.1:{port}", host = "{host}" }}\n' for host, port in rims)
    probe = f"\n[site.sandbox.probe]\n{routes}" if rims else ""
    path = folder / "rotator.toml"
    # TOML escapes quotes and backslashes as JSON does.
    quoted = json.dumps(str(folder), ensure_ascii=False)[1:-1]
    write_private(path, _TEMPLATE.format(folder=quoted, qrs=qrs, probe=probe).encode())
    return path


_TEMPLATE = """\
# Written by `rotator sandbox`: a configuration for the stand-in that runs from this folder.

[keyring]
backend = "sealed-file"
path = "{folder}/keys"
master_key = "file:{folder}/master.key"

[state]
path = "{folder}/state"

[site.sandbox]
qrs = "{qrs}"
root_ca = "{folder}/root.pem"
auth = "certificate"

[site.sandbox.certificate]
cert = "{folder}/client.pem"
key = "{folder}/client_key.pem"
# the same as PKCS#12:
# pfx = "{folder}/client.pfx"
# password = "file:{folder}/client.pfx.password"
user = 'INTERNAL\\sa_api'
{probe}
[proxy.portal]
site = "sandbox"
prefix = "portal"
description = "Customer portal"
user_id_claim = "userId"
user_directory_claim = "userDirectory"
attributes = [{{ claim = "groups", sense = "group", mandatory = false }}]
proxies = ["*"]
nodes = ["*"]
test_user = 'ROTATOR\\probe'
consumers = "token"

[proxy.portal.rotation]
strategy = "in-place"
every = "30d"
window = ["any"]
"""
