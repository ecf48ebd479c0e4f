"""Access lists as real folders of Windows have them: who may read, and who may change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from windows_accounts import AUTHENTICATED, ME, PROGRAM_DATA, SERVICE, USERS

from rotator.windows import access
from rotator.windows.access import CHANGE, EVERYONE, USE, NotUnderstood, Right, private


OPEN_TO_USERS = "(A;OICIID;0x1200a9;;;BU)(A;CIID;DCLCRPCR;;;BU)"


@pytest.mark.parametrize(
    ("descriptor", "trusted", "readers", "changers"),
    [
        # What rotator makes.
        (f"O:{ME}" + private(ME, folder=True), True, (), ()),
        ("O:BAG:DUD:PAI(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)" + f"(A;OICI;FA;;;{ME})", True, (), ()),
        # What Python makes of mkdir(mode=0o700): OWNER RIGHTS.
        (f"O:{ME}G:DUD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;OW)", True, (), ()),
        # A folder made in ProgramData: its owner's, read and added to by every user.
        (
            f"O:{ME}G:DUD:AI(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;ID;FA;;;{ME})(A;OICIIOID;GA;;;CO){OPEN_TO_USERS}",
            True,
            (USERS,),
            (USERS,),
        ),
        (PROGRAM_DATA, True, (USERS,), (USERS,)),
        # A file in it: read by every user.
        (f"O:{ME}G:DUD:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;FA;;;{ME})(A;ID;0x1200a9;;;BU)", True, (USERS,), ()),
        # A folder at the root of a drive: authenticated users change it.
        (
            "O:BAD:AI(A;OICIID;FA;;;BA)(A;OICIID;0x1200a9;;;BU)(A;ID;0x1301bf;;;AU)(A;OICIIOID;SDGXGWGR;;;AU)",
            True,
            (AUTHENTICATED, USERS),
            (AUTHENTICATED,),
        ),
        # Everyone, by the two letters and by the SID; generic rights.
        (f"O:{ME}D:(A;;FR;;;WD)(A;;FA;;;SY)", True, (EVERYONE,), ()),
        (f"O:{ME}D:(A;;GR;;;S-1-1-0)", True, (EVERYONE,), ()),
        (f"O:{ME}D:(A;;GA;;;WD)", True, (EVERYONE,), (EVERYONE,)),
        (f"O:{ME}D:(A;;0x80000000;;;WD)", True, (EVERYONE,), ()),
        # Rights that give neither content nor change: attributes, traversing, who may what.
        (f"O:{ME}D:(A;;0x1200a0;;;BU)(A;;RC;;;WD)(A;;0x100080;;;AU)(A;;GX;;;BU)", True, (), ()),
        # Rights by which the others can be taken.
        (f"O:{ME}D:(A;;WD;;;BU)", True, (USERS,), (USERS,)),
        (f"O:{ME}D:(A;;WO;;;BU)", True, (USERS,), (USERS,)),
        (f"O:{ME}D:(A;;SD;;;BU)", True, (USERS,), (USERS,)),
        (f"O:{ME}D:(A;;DT;;;BU)", True, (USERS,), (USERS,)),
        # Only handed on to what is made in the folder: that will be as open.
        (f"O:{ME}D:(A;OICIIO;GR;;;BU)(A;OICIIO;GA;;;CO)", True, (USERS,), ()),
        # The group of whoever makes something: Domain Users, in the end.
        (f"O:{ME}D:(A;OICIIO;GR;;;CG)", True, ("S-1-3-1",), ()),
        # A denial is no proof: it binds one group, and may not be handed on.
        (f"O:{ME}D:(D;;FA;;;BU)(A;OICI;FA;;;BU)(A;;FA;;;SY)", True, (USERS,), (USERS,)),
        (f"O:{ME}D:(D;;FA;;;WD)(A;;FA;;;{ME})", True, (), ()),
        # A condition is taken as met; its parentheses are no entries.
        (
            f'O:{ME}D:(XA;;FR;;;AU;(@User.Title=="PM" && (Member_of {{SID(BA)}})))(A;;FA;;;BA)',
            True,
            (AUTHENTICATED,),
            (),
        ),
        (f"O:{ME}D:(OA;;RPCC;;;BU)", True, (USERS,), (USERS,)),
        # No list at all, a null one, and an empty one.
        (f"O:{ME}G:DU", True, (EVERYONE,), (EVERYONE,)),
        (f"O:{ME}G:DUD:NO_ACCESS_CONTROL", True, (EVERYONE,), (EVERYONE,)),
        (f"O:{ME}G:DUD:", True, (), ()),
        (f"O:{ME}G:DUD:PAI", True, (), ()),
        # Somebody else's; the service's own list, seen by an administrator.
        (f"O:{SERVICE}D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;{SERVICE})", False, (SERVICE,), (SERVICE,)),
        (f"O:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;{SERVICE})", True, (SERVICE,), (SERVICE,)),
        ("O:BUD:(A;;FA;;;SY)", False, (), ()),
        # Names of a domain or of this machine's own accounts.
        (f"O:{ME}D:(A;;FR;;;DU)(A;;FR;;;LA)", True, ("DU", "LA"), ()),
        # Another domain's user with the same number.
        (f"O:{ME}D:(A;;FR;;;S-1-5-21-1-2-3-1107)", True, ("S-1-5-21-1-2-3-1107",), ()),
        # What audits is no part of it.
        (f"O:{ME}D:(A;;FA;;;SY)S:AI(AU;SAFA;FA;;;WD)", True, (), ()),
    ],
)
def test_who_may_read_and_who_may_change(
    descriptor: str, trusted: bool, readers: tuple[str, ...], changers: tuple[str, ...]
) -> None:
    private_use, guarded_use = access.access(descriptor, ME, USE), access.access(descriptor, ME, CHANGE)
    assert private_use.trusted_owner is guarded_use.trusted_owner is trusted
    assert private_use.others == readers
    assert guarded_use.others == changers


def test_the_machines_own_administrator_is_known_by_its_letters() -> None:
    assert access.access("O:LAD:(A;;FA;;;LA)", "LA", USE) == access.Access("LA", trusted_owner=True, others=())
    assert access.access("O:LAD:(A;;FA;;;LA)", ME, USE).others == ("LA",)
    assert access.access("O:LSD:(A;;FA;;;S-1-5-19)", "LS", USE).others == ()


@pytest.mark.parametrize(
    "descriptor",
    [
        "",
        "D:(A;;FA;;;SY)",
        "O:D:(A;;FA;;;SY)",
        "nonsense",
        f"O:{ME}D:(A;;FA;;;SY",
        f"O:{ME}D:(A;;FA;;;SY))",
        f"O:{ME}D:(A;;XX;;;SY)",
        f"O:{ME}D:(A;;FAF;;;SY)",
        f"O:{ME}D:(A;;0xg;;;SY)",
        f"O:{ME}D:(Q;;FA;;;SY)",
        f"O:{ME}D:(A;;FA)",
        f"O:{ME}D:NEW(A;;FA;;;SY)",
        f"O:{ME}X:AI",
    ],
)
def test_what_is_not_understood_is_not_taken_for_safe(descriptor: str) -> None:
    with pytest.raises(NotUnderstood):
        access.access(descriptor, ME, USE)


TRUSTEES = st.sampled_from((ME, SERVICE, "SY", "BA", "BU", "WD", "AU", "CO", "OW", "S-1-1-0"))
MASKS = st.sampled_from(("FA", "FR", "FW", "FX", "GA", "GR", "GW", "GX", "RC", "SD", "WD", "DCLCRPCR", "0x1301bf", ""))
ENTRIES = st.lists(
    st.tuples(st.sampled_from("AD"), st.sampled_from(("", "ID", "OICI", "OICIIO")), MASKS, TRUSTEES), max_size=5
)


@given(ENTRIES)
def test_an_allowance_more_never_makes_it_safer_and_a_denial_nothing(entries: list[tuple[str, str, str, str]]) -> None:
    def others(chosen: list[tuple[str, str, str, str]]) -> set[str]:
        text = "".join(f"({kind};{flags};{mask};;;{trustee})" for kind, flags, mask, trustee in chosen)
        return set(access.access(f"O:{ME}D:AI{text}", ME, USE).others)

    assert others(entries) == others([entry for entry in entries if entry[0] == "A"])
    assert others(entries[1:]) <= others(entries)
    assert set(access.access(f"O:{ME}{private(ME, folder=True)}", ME, Right(0xFFFFFFFF)).others) == set()
