"""What nobody outside Qlik knows: each question with its plausible answers, the first one played unless told otherwise."""

from typing import Final


QUESTIONS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "host-allow-list": ("which header the host allow list is compared with", ("origin", "host", "both")),
    "sixth-session": ("status of a user's sixth session", ("403", "401", "200")),
    "session-limit": ("the limit of five sessions counts per user and", ("site", "proxy", "virtual-proxy")),
    "logout": ("logging out ends the user's sessions on", ("proxy", "site")),
    "central-first": ("until the central proxy has applied a new link, the others", ("wait", "answer")),
    "refusal-body": ("body of a proxy's 401", ("text", "html")),
    "prefix-body": ("body of a proxy's 400 for an unknown prefix", ("html", "text")),
    "refusal-text": ("a proxy's 401 says why", ("no", "yes")),
    "untrusted-certificate": ("an untrusted client certificate (stranger.pem) ends in", ("abort", "403")),
    "description-unique": ("descriptions are unique, in any case", ("yes", "no")),
    "uniqueness-status": ("status for what must be unique and is not", ("400", "409", "500")),
    "filter-case": ("eq in a filter regards case", ("yes", "no")),
    "filter-property": ("an unknown property in a filter", ("400", "nothing")),
    "nulls": ("null for a list, number or flag in a body", ("500", "accepted")),
    "idle-put": ("a PUT that changes nothing", ("restart", "ignored")),
    "missing-date": ("a PUT without modifiedDate", ("409", "accepted")),
    "bulk-edit-date": ("a bulk edit with a stale latestModifiedDate", ("409", "accepted")),
    "csrftoken-absent": ("csrftoken on a release without it: 404", ("after-login", "at-once")),
    "qps-sessions": ("a node's QPS tells the sessions of", ("node", "site")),
    "default-login": ("the default virtual proxy without login", ("302", "401")),
    "open-request": ("a request that is open when its proxy restarts", ("cut", "finished")),
    "certificate-end": ("the end of a virtual proxy's certificate is", ("ignored", "enforced")),
    "certificate-blocks": ("of several certificates in the field", ("first", "none")),
    "certificate-check": ("QRS looks at the certificate field on PUT", ("no", "yes")),
    "clock-skew": ("seconds that exp and nbf may be off", ("0", "60", "300")),
    "csrf-on-qrs": ("QRS through a proxy demands qlik-csrf-token", ("no", "yes")),
    "privileges": ("privileges=true has an entity's privileges filled", ("yes", "no")),
    "forbidden-id": ("status for an entity the caller may not see", ("403", "404")),
}


class Unknowns:
    """The answers that are played."""

    def __init__(self, *chosen: str) -> None:
        self._answers = {key: answers[0] for key, (_, answers) in QUESTIONS.items()}
        for choice in chosen:
            self.choose(choice)

    def __getitem__(self, key: str) -> str:
        return self._answers[key]

    def is_(self, key: str, answer: str) -> bool:
        """Whether this answer is played."""
        if answer not in QUESTIONS[key][1]:
            raise KeyError(answer)
        return self._answers[key] == answer

    def choose(self, choice: str) -> None:
        """Play `KEY=ANSWER`. Raises ValueError saying what there is."""
        key, _, answer = choice.partition("=")
        if key not in QUESTIONS:
            raise ValueError(f"--unknown {choice}: there is no {key!r}; there is: {', '.join(QUESTIONS)}")
        answers = QUESTIONS[key][1]
        if answer not in answers:
            raise ValueError(f"--unknown {choice}: the answers are {', '.join(answers)}")
        self._answers[key] = answer


def listing() -> str:
    """Every question with its answers, for the help."""
    return "\n".join(f"{key}={'|'.join(answers)}: {question}" for key, (question, answers) in QUESTIONS.items())
