"""rotate: what is done, said and left behind when all goes well, and when something is in the way from the start."""

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest
from worlds.by_hand import let_see
from worlds.effects import Stroke
from worlds.rotators import configured, rotating
from worlds.server import CERTIFICATE, HOSTS
from worlds.telling import Story
from worlds.world import ROTATION, World

from rotator.model import Auth, Consumers, ProbeRoute
from rotator.provisioning import create_proxy
from rotator.rotation import Options, rotate
from rotator.scene import Scene


def test_a_rotation(story: Story) -> None:
    assert story.run("create-proxy").exit == 0
    assert story.run("rotate --now").exit == 0
    assert story.run("rotate --now").exit == 0
    assert story.run("verify").exit == 0


def test_what_is_due_and_what_is_not(story: Story, world: World) -> None:
    story.run("create-proxy")
    story.run("rotate")
    world.timeline.elapse(30 * 86400)
    story.run("rotate")
    story.run("rotate")


def test_by_cron(story: Story, world: World) -> None:
    story.run("create-proxy")
    configured(world, rotation=replace(ROTATION, every=None, cron="0 3 * * SUN"))
    story.run("rotate")
    world.timeline.elapse(6 * 86400)
    story.run("rotate")
    story.run("rollback")


def test_a_dry_run_writes_nothing(story: Story, world: World) -> None:
    story.run("create-proxy")
    before = dict(world.one.keyring.items)
    ended = story.run("rotate --dry-run", verb=rotating(now=True, dry_run=True), looking=True)
    assert world.one.keyring.items == before
    assert not {"PUT qrs", "POST qrs"} & set(ended.effects.seen)


def test_a_dry_run_tells_of_a_prepared_key_and_whom_it_would_interrupt(story: Story, world: World) -> None:
    story.run("create-proxy")
    story.run("rotate --prepare --dry-run", verb=rotating(now=True, prepare=True, dry_run=True), looking=True)
    story.run("rotate --prepare")
    story.run("rotate --prepare --dry-run", verb=rotating(now=True, prepare=True, dry_run=True), looking=True)
    for host, user in ((HOSTS[0], "anna"), (HOSTS[1], "anna"), (HOSTS[1], "bo")):
        world.server.seat(host, world.prefix, user)
    story.run("rotate --dry-run", verb=rotating(now=True, dry_run=True), looking=True)


def test_a_dry_run_of_what_is_unfinished(story: Story) -> None:
    story.run("create-proxy")
    story.run("rotate --now", Stroke("PUT qrs", 1, "crash after"))
    story.run("rotate --dry-run", verb=rotating(now=True, dry_run=True), looking=True)
    story.run("rotate --dry-run", verb=rotating(dry_run=True), looking=True)


def test_a_dry_run_that_finds_a_proxy_down(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.server.node(HOSTS[1]).down = True
    story.run("rotate --dry-run", verb=rotating(now=True, dry_run=True), looking=True)


def test_a_prepared_key_is_used(story: Story) -> None:
    story.run("create-proxy")
    story.run("rotate --prepare")
    story.run("rotate --prepare")
    story.run("rotate --now")


def test_a_prepared_key_of_another_size_is_retired(story: Story, world: World) -> None:
    story.run("create-proxy")
    story.run("rotate --prepare")
    configured(world, rotation=replace(ROTATION, key_bits=3072))
    assert story.run("rotate --prepare").exit == 0


def test_a_prepared_key_that_is_lost_is_made_anew(story: Story, world: World) -> None:
    story.run("create-proxy")
    story.run("rotate --prepare")
    prepared = world.made[-1].fingerprint
    name = next(name for name in world.one.keyring.items if f"-{prepared[:12]}" in name)
    del world.one.keyring.items[name]
    story.run("rotate --now")


def test_a_key_that_was_prepared_long_ago_gets_a_certificate_that_lasts(story: Story, world: World) -> None:
    """Else the key would be due again as soon as it is in place."""
    configured(world, rotation=replace(ROTATION, every=timedelta(days=335), certificate_days=365))
    story.run("create-proxy")
    assert story.run("rotate --prepare").exit == 0
    world.timeline.elapse(335 * 86400)
    assert story.run("rotate", Stroke("PUT qrs", 1, "403")).exit == 1
    world.timeline.elapse(900)
    assert story.run("rotate").exit == 0
    assert world.shown() == world.made[1].fingerprint
    world.timeline.elapse(900)
    assert story.run("rotate").exit == 0
    assert world.shown() == world.made[1].fingerprint


def test_a_person_who_does_not_want_it(story: Story) -> None:
    story.run("create-proxy")

    def declined(scene: Scene) -> object:
        def no(cuts: object) -> bool:
            story.note(f"asked about {cuts}")
            return False

        world = replace(scene.world, consent=no)
        return rotate(replace(scene, world=world), Options(now=True))

    assert story.run("rotate --now", verb=declined).exit == 3  # type: ignore[arg-type]


def test_a_look_that_fails_while_a_change_is_unfinished_is_no_failed_rotation(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.timeline.elapse(31 * 86400)
    assert story.run("rotate", Stroke("PUT qrs", 1, "crash after")).crashed
    world.server.node(HOSTS[1]).stuck = True
    for _ in range(9):
        story.brief("rotate", Stroke("GET qrs", 1, "refused", times=9))
    world.server.restart()
    world.server.node(HOSTS[0]).down = True
    undone = story.run("rotate")
    assert undone.exit != 0
    retry = world.one.ring().retry
    assert retry is not None
    assert retry.attempts == 1


def test_certificates_that_end_soon_are_due(story: Story, world: World) -> None:
    configured(world, rotation=replace(ROTATION, certificate_days=31))
    story.run("create-proxy")
    story.run("rotate")
    world.timeline.elapse(86400)
    story.run("rotate")


def test_before_there_is_anything(story: Story) -> None:
    for command in ("rotate", "rotate --now", "verify", "recover", "rollback", "keys prune"):
        story.run(command)


@pytest.mark.parametrize("what", ["unknown", "garbage", "empty", "older", "deleted", "unlinked", "saml"])
def test_drift(story: Story, world: World, what: str) -> None:
    story.run("create-proxy")
    story.run("rotate --now")
    stranger = world.new_key()
    world.outside[stranger.fingerprint] = stranger
    text = stranger.certificate("x", 30, world.timeline.present())
    older = next(text for shown, text in world.one.certificates() if shown != world.shown())
    if what == "deleted":
        world.server.delete(world.prefix)
    elif what == "unlinked":
        world.server.relink(world.prefix, ())
    elif what == "saml":
        world.server.edit(world.prefix, authenticationMethod=3)
    elif what == "garbage":
        world.watch = lambda: None  # type: ignore[method-assign]
        world.shown = world.served = lambda *_: None  # type: ignore[method-assign, assignment]
        world.server.edit(world.prefix, **{CERTIFICATE: "garbage"})
    else:
        world.server.edit(world.prefix, **{CERTIFICATE: {"unknown": text, "empty": "", "older": older}[what]})
    story.note(f"certificate or virtual proxy: {what}")
    for command in ("rotate --now", "rotate", "verify", "rollback", "keys prune", "recover", "create-proxy"):
        story.run(command)


def test_a_proxy_that_is_skipped(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.one.site = replace(world.one.site, probe={HOSTS[1]: ProbeRoute(skip=True)})
    assert story.run("rotate --now").exit == 0
    world.one.site = replace(world.one.site, probe={host: ProbeRoute(skip=True) for host in HOSTS})
    assert story.run("rotate --now").exit == 1
    assert story.run("verify").exit == 1


def test_a_proxy_that_is_down_stops_it_before_anything_is_changed(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.server.node(HOSTS[1]).down = True
    ended = story.run("rotate --now")
    assert ended.exit == 1
    assert not ended.effects.seen["PUT qrs"]


def test_the_way_to_the_repository_is_not_sawn_off(story: Story, world: World) -> None:
    story.run("create-proxy")

    def on_the_branch(scene: Scene) -> object:
        return rotate(replace(scene, way="portal"), Options(now=True))

    assert story.run("rotate --now", verb=on_the_branch).exit == 1  # type: ignore[arg-type]
    story.run("rotate --now", Stroke("PUT qrs", 1, "crash before"))
    assert story.run("rotate --now", verb=on_the_branch).exit == 1  # type: ignore[arg-type]


def test_with_few_rights(story: Story, world: World) -> None:
    def by_jwt(scene: Scene) -> object:
        return rotate(replace(scene, auth=Auth.JWT), Options(now=True))

    story.run("create-proxy")
    story.run("rotate --now", verb=by_jwt)  # type: ignore[arg-type]
    node = next(iter(world.server.repository.nodes))
    world.server.edit(world.prefix, loadBalancingServerNodes=[{"id": node}])
    story.run("rotate --now", verb=by_jwt)  # type: ignore[arg-type]
    story.run("verify")
    story.run("rotate --now", verb=by_jwt)  # type: ignore[arg-type]
    world.lose_keyring(world.one, {name: text for name, text in world.one.keyring.items.items() if "index" not in name})


@pytest.mark.parametrize(
    ("auth", "what"),
    [(Auth.JWT, "hidden by 404"), *product((Auth.JWT, Auth.CERTIFICATE), ("hidden", "deleted", "renamed"))],
)
def test_a_virtual_proxy_that_no_list_shows(story: Story, world: World, auth: Auth, what: str) -> None:
    """A list of few rights lacks what is there; only what is deleted for certain is told to be created again."""
    story.run("create-proxy")
    found = world.server.virtual_proxy(world.prefix)
    assert found is not None
    if what.startswith("hidden"):
        world.server.repository.unknowns.choose(f"forbidden-id={'404' if '404' in what else '403'}")
        let_see(world, "nobody", "ProxyService")
        world.one.user = r"INTERNAL\nobody"
    elif what == "deleted":
        world.server.delete(world.prefix)
    else:
        world.server.repository.replace(found["id"], {**found, "prefix": "moved"}, "CORP\\admin")
    ended = story.run(
        "rotate --now", verb=lambda scene: rotate(replace(scene, auth=auth), Options(now=True)), looking=True
    )
    planned = story.run(
        "create-proxy --plan", verb=lambda scene: create_proxy(replace(scene, auth=auth), plan_only=True), looking=True
    )
    hidden = auth is Auth.JWT and what != "renamed"
    status = 1 if hidden or what == "hidden" else 4
    said = {"deleted": "create it again", "renamed": "give it the prefix 'portal' again", "hidden": r"INTERNAL\sa_api"}
    hint = "Read on VirtualProxyConfig_" if hidden else said[what]
    assert (ended.exit, hint in ended.hint) == (status, True), ended.hint
    if what == "deleted" and not hidden:
        assert planned.exit == 0
    else:
        assert (planned.exit, hint in planned.hint) == (status, True), planned.hint


def test_rights_that_are_taken_away_in_the_middle(story: Story, world: World) -> None:
    """What the caller does not see any more would be erased by the PUT."""

    def by_jwt(scene: Scene) -> object:
        return rotate(replace(scene, auth=Auth.JWT), Options(now=True))

    story.run("create-proxy")
    node = next(iter(world.server.repository.nodes))
    fewer = Stroke(
        "PUT qrs", 1, None, meanwhile=lambda: world.server.edit(world.prefix, loadBalancingServerNodes=[{"id": node}])
    )
    assert story.run("rotate --now", fewer, verb=by_jwt).exit == 1  # type: ignore[arg-type]
    assert len(world.one.keyring.fingerprints()) == 1


def test_a_node_that_somebody_takes_off_in_the_middle_stays_off(story: Story, world: World) -> None:
    """The certificate sees all there is: what is missing was taken away."""
    story.run("create-proxy")
    node = [{"id": next(iter(world.server.repository.nodes))}]
    taken = Stroke("PUT qrs", 1, None, meanwhile=lambda: world.server.edit(world.prefix, loadBalancingServerNodes=node))
    assert story.run("rotate --now", taken).exit == 0
    kept = world.server.virtual_proxy(world.prefix)
    assert kept is not None
    assert kept["loadBalancingServerNodes"] == node


def test_an_undo_with_few_rights(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.server.node(HOSTS[1]).stuck = True
    undone = story.run("rotate --now", verb=lambda scene: rotate(replace(scene, auth=Auth.JWT), Options(now=True)))
    assert undone.exit == 1


def test_manual_consumers_are_not_put_off(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.one.spec = replace(world.one.spec, consumers=Consumers.MANUAL)
    world.server.node(HOSTS[1]).down = True
    assert story.run("rotate --now", verb=lambda scene: rotate(scene, Options(now=True))).exit == 1
    assert world.one.ring().retry is None
