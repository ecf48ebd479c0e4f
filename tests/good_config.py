"""A configuration without a mistake."""

SITE = r"""[site.prod]
qrs = "https://qlik.example.com:4242"
root_ca = "root.pem"
auth = "certificate"

[site.prod.certificate]
cert = "client.pem"
key = "client_key.pem"
user = 'INTERNAL\sa_api'
"""
TWIN = (
    SITE.replace("site.prod", "site.other").replace("qlik.example.com", "other.example.com")
    + '\n[proxy.twin]\nsite = "other"\nprefix = "portal"\n\n'
)
"""Another site, with a virtual proxy of the same prefix."""
GOOD = (
    """
[keyring]
backend = "sealed-file"
path = "keys"
master_key = "file:master.key"

[state]
path = "state"

"""
    + SITE
    + """
[site.prod.probe]
"rim1.example.com" = { connect = "10.0.0.5:8443", host = "portal.example.com", ca = "system" }
"rim2.example.com" = "https://rim2.internal"
"rim3.example.com" = { skip = true }

[proxy.portal]
site = "prod"
prefix = "portal"
user_id_claim = "userId"
user_directory_claim = "userDirectory"

[proxy.portal.rotation]
every = "30d"
window = ["SUN 02:00-05:00 Europe/Stockholm"]
"""
)
