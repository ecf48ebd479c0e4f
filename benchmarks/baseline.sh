#!/usr/bin/env bash
# What an admin would write today: a new key for a JWT virtual proxy with openssl, curl and jq. No undo, one proxy, no
# proof that the old key is refused.
#
#   baseline.sh DIR QRS_URL PROXY_URL PREFIX BITS
#
# DIR holds root.pem, client.pem and client_key.pem; the new key goes to a temporary folder, as in such scripts.
set -euo pipefail
dir=$1 qrs=$2 proxy=$3 prefix=$4 bits=$5
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
xrf=0123456789abcdef
ask() { # METHOD PATH-AND-QUERY [curl options]
    local method=$1 path=$2
    shift 2
    curl --silent --show-error --fail --cacert "$dir/root.pem" --cert "$dir/client.pem" --key "$dir/client_key.pem" \
        --request "$method" --header "X-Qlik-Xrfkey: $xrf" --header 'X-Qlik-User: UserDirectory=INTERNAL; UserId=sa_api' \
        --header 'Content-Type: application/json' "$@" "$qrs/qrs/$path"
}
base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

# key and certificate
openssl req -x509 -newkey "rsa:$bits" -nodes -keyout "$work/key.pem" -out "$work/cert.pem" -days 1825 \
    -subj "/CN=$prefix" 2>/dev/null

# find, get, edit, put
id=$(ask GET "virtualproxyconfig?xrfkey=$xrf&filter=prefix%20eq%20'$prefix'" | jq -r '.[0].id')
ask GET "virtualproxyconfig/$id?xrfkey=$xrf" >"$work/entity.json"
jq --rawfile certificate "$work/cert.pem" '.jwtPublicKeyCertificate = $certificate' "$work/entity.json" >"$work/new.json"
ask PUT "virtualproxyconfig/$id?xrfkey=$xrf" --data-binary "@$work/new.json" >/dev/null

# token
now=$(date +%s)
header=$(printf '{"alg":"RS256","typ":"JWT"}' | base64url)
claims=$(printf '{"userId":"probe","userDirectory":"ROTATOR","exp":%d}' "$((now + 300))" | base64url)
signature=$(printf '%s.%s' "$header" "$claims" | openssl dgst -sha256 -sign "$work/key.pem" -binary | base64url)
token=$header.$claims.$signature

# login: a session, whose it is, and out again
login() {
    curl --silent --show-error --fail --cacert "$dir/root.pem" --cookie "$work/jar" --cookie-jar "$work/jar" "$@"
}
login --header "Authorization: Bearer $token" "$proxy/$prefix/qps/csrftoken"
login "$proxy/$prefix/qps/user" | jq -e '.userId == "probe"' >/dev/null
login --request DELETE "$proxy/$prefix/qps/user"
