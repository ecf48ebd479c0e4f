"""A machine whose way to QRS is a virtual proxy: `auth = "jwt"`, as a service user who may do little."""

from typing import Any, Final

from machine.host import Machine


PREFIX: Final = "rotator"
ACCESS: Final = f"""
[proxy.access]
site = "sandbox"
prefix = "{PREFIX}"
[proxy.access.rotation]
key_bits = 2048
window = ["any"]
settle_timeout = "10s"
"""
RIGHTS: Final = {"VirtualProxyConfig_*": 6, "ProxyService_*": 2, "ServerNodeConfiguration_*": 2}
"""What the service user may: 2 reads, 4 changes."""


class JwtMachine(Machine):
    """Both virtual proxies are made under the certificate; all that comes after goes through the one called access."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.names = ("portal",)
        self._direct, self._through = self.config, self.sandbox.folder / "jwt.toml"
        text = self._direct.read_text() + ACCESS
        self._direct.write_text(text)
        url = f"{self.sandbox.ready['proxies'][0]['url']}/{PREFIX}"
        access = f'auth = "jwt"\n[site.sandbox.jwt]\nurl = "{url}"\nuser = \'SVC\\rotator\''
        self._through.write_text(text.replace('auth = "certificate"', access, 1))
        self._through.chmod(0o600)
        for resources, actions in RIGHTS.items():
            rule = '((user.userDirectory="SVC" and user.userId="rotator"))'
            body = {"name": resources, "rule": rule, "resourceFilter": resources, "actions": actions}
            self.sandbox.qrs("POST", "/qrs/systemrule", body)
        self.config = self._through

    def create(self) -> None:
        """The virtual proxy, and the way to QRS anew: a fresh machine has no key of it."""
        self.oracle.remove_virtual_proxy(PREFIX)
        self.config = self._direct
        try:
            super().create()
        finally:
            self.config = self._through
