"""Bugs planted on purpose, each with the one test that must find it by name."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Planted:
    """In `file` of rotator/, `old` becomes `new`: `test` must fail, which passes otherwise."""

    name: str
    file: str
    old: str
    new: str
    test: str


PLANTED: Final = (
    Planted(
        "an fsync left out",
        "keystore/private_folder.py",
        "                    os.fsync(file.fileno())\n",
        "",
        "tests/keystore/test_sealed_file_writes.py::test_an_item_is_synced_before_it_gets_its_name_and_its_folder_afterwards",
    ),
    Planted(
        "a folder that is not synced",
        "durable.py",
        "    sync_folder(path.parent)\n",
        "",
        "tests/keystore/test_sealed_file_writes.py::test_an_item_is_synced_before_it_gets_its_name_and_its_folder_afterwards",
    ),
    Planted(
        "an item written in its place",
        "keystore/private_folder.py",
        "                temporary.unlink(missing_ok=True)\n                flags",
        "                path.unlink(missing_ok=True)\n                flags",
        "tests/keystore/test_sealed_file_writes.py::test_a_full_disk_leaves_the_old_text",
    ),
    Planted(
        "an undo that does not read first",
        "setting.py",
        "            _check_start(scene, virtual_proxy, start)\n            check_complete(",
        "            check_complete(",
        "tests/reliability/test_undo.py::test_an_undo_leaves_alone_what_somebody_put_there_meanwhile",
    ),
    Planted(
        "a prune that is too early",
        "planning/pruning.py",
        "    if now - key.since < SENT_STAYS:\n        return False\n",
        "",
        "tests/planning/test_pruning.py::test_a_key_whose_certificate_was_sent_stays_until_a_late_put_of_it_must_fail",
    ),
    Planted(
        "a promotion before its test",
        "steps.py",
        "        if not verification.all_passed(checks):\n            told = ",
        "        if False:\n            told = ",
        "tests/story/test_disturbed.py::test_a_proxy_that_never_applies_the_change_is_undone",
    ),
    Planted(
        "a lock that is not taken",
        "state/lock.py",
        "        lock.acquire()\n",
        "        pass\n",
        "tests/state/test_lock.py::test_a_lock_names_its_owner",
    ),
    Planted(
        "a 503 that counts as refused",
        "qlik/login.py",
        "    if answer.status == _UNAUTHORIZED:\n        return LoginOutcome(Verdict.REFUSED",
        "    if answer.status in (_UNAUTHORIZED, 503):\n        return LoginOutcome(Verdict.REFUSED",
        "tests/qlik/test_adapters.py::test_only_a_plain_401_is_a_refusal",
    ),
    Planted(
        "nothing read back from the keyring",
        "keystore/key_items.py",
        "        if self._store.reopened().get(name) != text:\n",
        "        if False:\n",
        "tests/keystore/test_key_items.py::test_a_keyring_that_lies_is_caught",
    ),
    Planted(
        "an intent that is not stored before the PUT",
        "intents.py",
        "    return keystore.save(replace(stages.opened(ring, intent, virtual_proxy.modified), proxy_id=virtual_proxy.id))\n",
        "    return replace(stages.opened(ring, intent, virtual_proxy.modified), proxy_id=virtual_proxy.id)\n",
        "tests/reliability/test_disk.py::test_a_full_state_directory_does_not_keep_a_crashed_rotation_from_its_undo",
    ),
    Planted(
        "lists that shrank unnoticed",
        "planning/entity.py",
        "    if missing:\n",
        "    if False:\n",
        "tests/story/test_access_by_jwt.py::test_lists_that_the_service_user_does_not_see_are_not_erased",
    ),
    Planted(
        "a process that hardens itself too late",
        "__main__.py",
        "    undumpable()\n    try:\n        from rotator.cli.app import run  # noqa: PLC0415 - see above\n",
        "    try:\n        from rotator.cli.app import run  # noqa: PLC0415 - see above\n        undumpable()\n",
        "tests/reliability/test_in_the_middle.py::test_the_process_is_undumpable_before_the_first_key_is_read[module]",
    ),
    Planted(
        "a process that never hardens itself",
        "hardening.py",
        "            ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)\n",
        "            pass\n",
        "tests/reliability/test_in_the_middle.py::test_no_other_process_of_the_account_looks_into_its_memory",
    ),
    Planted(
        "a retry whose date is forgotten",
        "rotation.py",
        "        scene.world.keystore.save(stages.put_off(ring, retry))\n",
        "        pass\n",
        "tests/reliability/test_undo.py::test_a_failure_puts_the_next_unattended_run_off",
    ),
    Planted(
        "a name that is not checked",
        "qlik/tls.py",
        "    context.check_hostname = True\n",
        "    context.check_hostname = False\n",
        "tests/reliability/test_untrusted_server.py::test_a_server_that_cannot_prove_itself_is_sent_nothing"
        "[a wrong name-certificate]",
    ),
    Planted(
        "a common name that counts as a name",
        "qlik/tls.py",
        "    context.hostname_checks_common_name = False\n",
        "    context.hostname_checks_common_name = True\n",
        "tests/reliability/test_untrusted_server.py::test_a_server_that_cannot_prove_itself_is_sent_nothing"
        "[a common name alone-jwt]",
    ),
    Planted(
        "a redirect that is looked at",
        "qlik/transport.py",
        "        session = _Session()\n",
        "        session = requests.Session()\n",
        "tests/qlik/test_adapters.py::test_every_bad_answer_is_one_clear_error",
    ),
    Planted(
        "a token in a message",
        "qlik/failures.py",
        'redacted(_TAGS.sub(" ", text[: 100 * EXCERPT]))',
        '_TAGS.sub(" ", text[: 100 * EXCERPT])',
        "tests/qlik/test_adapters.py::test_what_is_said_of_an_answer_holds_no_secret",
    ),
    Planted(
        "a key on the command line of the hook",
        "handover.py",
        "            executables.run([self.executable], told, key.to_pem())\n",
        "            executables.run([self.executable, key.to_item()], told, key.to_pem())\n",
        "tests/story/test_leaks.py::test_nothing_leaks_from_any_command",
    ),
    Planted(
        "a server's clock that is believed whatever it says",
        "qlik/transport.py",
        "        self.clock_offset = max(-LARGEST_OFFSET, min(offset, LARGEST_OFFSET))\n",
        "        self.clock_offset = offset\n",
        "tests/qlik/test_adapters.py::test_the_servers_clock_is_believed_within_a_day",
    ),
    Planted(
        "a full journal that stops an undo",
        "cli/wiring.py",
        "                    if left is None:\n                        raise\n",
        "                    raise\n",
        "tests/reliability/test_disk.py::test_a_full_state_directory_does_not_keep_a_crashed_rotation_from_its_undo",
    ),
    Planted(
        "a promotion that failed and is not undone",
        "steps.py",
        "    raise NotPromoted(cause)\n",
        "    return promoted\n",
        "tests/reliability/test_disk.py::test_a_new_key_that_the_keyring_cannot_note_as_current_is_undone",
    ),
)
