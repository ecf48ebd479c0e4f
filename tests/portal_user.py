"""A user of the portal: has a token signed, and logs in with it by a client that is none of rotator's."""

import json
import ssl
import urllib.error
import urllib.request

from sandbox_process import Sandbox


def login(sandbox: Sandbox, token: str, proxy: int = 0) -> tuple[int, str]:
    """Show a token to a proxy; the status, and who came in."""
    trust = ssl.create_default_context(cafile=str(sandbox.folder / "root.pem"))
    url = f"{sandbox.ready['proxies'][proxy]['url']}/portal/qps/user"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))
    try:
        with opener.open(urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})) as answer:
            who = json.load(answer)
            return answer.status, f"{who['userDirectory']}\\{who['userId']}"
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""


def token(sandbox: Sandbox) -> str:
    """A token for CORP\\alice."""
    ended = sandbox.rotator("token", "portal", "--user", r"CORP\alice")
    assert ended.status == 0, ended.err
    assert ended.out.count("\n") == 1
    return ended.out.strip()
