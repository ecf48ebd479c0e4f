"""What rotator signs tokens with, and what the virtual proxy demands of a token."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rotator.model import Fingerprint, Json, KeyVersion, ProxySpec, Ring, Stage, VirtualProxy, constant


_PLAIN: Final = re.compile(r"[\w.:/@\[\]-]{1,100}", re.ASCII)
_AUDIENCE: Final = "audience"
_FIELDS: Final = {
    "user_id_claim": ("user id", "jwtAttributeUserId"),
    "user_directory_claim": ("user directory", "jwtAttributeUserDirectory"),
    _AUDIENCE: (_AUDIENCE, "jwtAudience"),
}


def signing_key(ring: Ring, shown: Fingerprint | None) -> KeyVersion | None:
    """The key that signs tokens: current, but while an intent is open the one whose fingerprint the server shows."""
    if ring.intent is None:
        return ring.at(Stage.CURRENT)
    return ring.known(shown)


def audience_of(spec: ProxySpec, ring: Ring) -> str:
    """The audience of rotator's tokens, empty for none: as configured, else as root last saw the server demand it."""
    if _AUDIENCE in spec.named or ring.baseline is None:
        return spec.audience
    return ring.baseline.audience


def demanded(observed: VirtualProxy) -> dict[str, Json]:
    """What a token has to carry, as JSON: the claims of the user's id and directory, constants in brackets, and the audience.

    `mandatory` are the claims without which it is refused.
    """
    told: dict[str, Json] = {what.replace(" ", "_"): _text(observed, field) for what, field in _FIELDS.values()}
    return {**told, "mandatory": [*_mandatory(observed)]}


def in_words(observed: VirtualProxy) -> str:
    """The same as a line for people."""
    parts = []
    for key, (what, field) in _FIELDS.items():
        there = _text(observed, field)
        fixed = constant(there) is not None
        if there:
            parts.append(f"{what} {_shown(there)}" if fixed or key == _AUDIENCE else f"{what} in {_shown(there)}")
    parts += [_shown(claim) for claim in _mandatory(observed)]
    return ", ".join(parts)


def _mandatory(observed: VirtualProxy) -> Iterator[str]:
    mapped = observed.entity.get("jwtAttributeMap")
    for item in mapped if isinstance(mapped, list) else []:
        claim = item.get("jwtAttribute") if isinstance(item, dict) and item.get("isMandatory") is True else None
        if isinstance(claim, str):
            yield claim


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Something that the server demands and rotator signs otherwise: a sentence of cause and one of remedy."""

    message: str
    remedy: str


def mismatches(spec: ProxySpec, ring: Ring, observed: VirtualProxy) -> Iterator[Mismatch]:
    """Why tokens of rotator are refused, whatever key signs them (FACTS 4.1: 401, without a word), or log somebody else in."""
    signed = {
        "user_id_claim": spec.user_id_claim,
        "user_directory_claim": spec.user_directory_claim,
        _AUDIENCE: audience_of(spec, ring),
    }
    for key, (what, field) in _FIELDS.items():
        there, ours = _text(observed, field), signed[key]
        if there == ours or (key == _AUDIENCE and not there):  # an audience that nobody asks for does no harm
            continue
        if key == _AUDIENCE:
            told = f"the server demands the audience {_shown(there)}, and tokens of rotator have {_shown(ours)}: it refuses them"
        elif constant(there) is not None:
            told = f"the server logs everybody in with the {what} {_shown(there)}, whatever tokens of rotator say"
        else:
            told = f"the server takes the {what} from {_shown(there)}, and tokens of rotator have it in {_shown(ours)}"
        yield Mismatch(
            told,
            f"rotator create-proxy {spec.name} puts what [proxy.{spec.name}] says on the server; or name there what the "
            f"server has, as {key}"
            if key in spec.named
            else f"name the right one in [proxy.{spec.name}], as {key}, and run rotator create-proxy {spec.name}",
        )
    for claim in _mandatory(observed):
        if claim not in {*spec.test_claims, spec.user_id_claim, spec.user_directory_claim}:
            yield Mismatch(
                f"the server refuses tokens without the claim {_shown(claim)}, which test logins do not have",
                f"give it in [proxy.{spec.name}], as test_claims, and to rotator token by --claim",
            )


def _text(observed: VirtualProxy, field: str) -> str:
    value = observed.entity.get(field)
    return value if isinstance(value, str) else ""


def _shown(text: str) -> str:
    """A text of the server as it is, where that is plain; it could fill the page, or look like something else."""
    if not text:
        return "none"
    return f'"{text}"' if _PLAIN.fullmatch(text) else "one that cannot be shown here"
