"""What of the longest tests is played by default; the rest with ``MAILFRAME_TESTS=all``.

``ONE_OF`` leaves out cases that differ from those it plays in a name, a protocol or a number. Of
what is left of the tests with other people's software, every third is played (``OF_FILES``), and
``LONG``, ``PAGES`` and ``TRIALS`` are left out: whoever changes what these are about plays all of
them, and so does whoever makes a release.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

import pytest

ONE_OF = {
    # logins of names that nobody has, in every protocol
    "test_accounts_sql.py::test_hostile_names_are_only_names": 8,
    "test_accounts_pam.py::test_hostile_names": 5,
    "test_accounts_http.py::test_hostile_names_arrive_as_they_are_or_not_at_all": 3,
    "test_accounts_http.py::test_bad_answers_put_off": 3,
    "test_accounts_sql.py::test_a_lost_database_puts_off_its_domain_only": 3,
    "test_oauth.py::test_a_token_logs_in": 5,
    "test_oauth.py::test_what_is_no_name": 5,
    "test_oauth.py::test_somebody_elses_name": 4,
    "test_oauth.py::test_a_bad_token": 3,
    "test_oauth.py::test_curl_sends": 4,
    "test_oauth.py::test_curl_fetches": 4,
    "test_ldap.py::test_recipients": 3,
    "test_ldap.py::test_a_table_of_aliases_means_the_same_to_postfix": 3,
    "test_active_directory.py::test_recipients": 4,
    # with one worker, and with two
    "test_code_beside.py::test_run_and_reload": 2,
    "test_code_beside.py::test_twistd": 2,
    "test_code_beside.py::test_what_is_wrong_is_told_at_once": 2,
    "test_dev_fixture.py::test_no_server_outlives_the_test": 3,
    # pip and a fresh environment for each kind of package
    "test_new_packages.py::test_a_new_package_passes_its_test": 3,
    # a campaign for each bug
    "test_sim.py::test_a_planted_bug_is_seen": 6,
    # every way to spoil an index, while the server runs and while it does not
    "test_imap_hostile.py::test_an_index_that_is_ruined_is_made_anew": 3,
    "test_imap_uids.py::test_whatever_becomes_of_the_index": 3,
    # a load of half a minute with another seed, or another clock
    "test_imap_crashes.py::test_kill_9_under_load": 2,
    "test_fire_faults.py::test_the_clock_is_set": 2,
    "test_fire_faults.py::test_the_zone_of_the_server_changes_its_offset": 2,
    "test_fire_faults.py::test_an_error_of_the_disk_once_a_thread": 2,
    # name servers that fail in different ways
    "test_policies_dns_trouble.py::test_costs_only_its_own_session": 3,
    # canonicalizations; the conformance suites have them all
    "test_dkim_signers.py::test_we_believe_what_mail_dkim_signs": 3,
    # DATA and BDAT, and umasks
    "test_path_mime.py::test_all_of_the_suite_comes_back_unchanged": 2,
    "test_file_modes.py::test_all_is_private": 2,
    "test_injections.py::test_every_payload_at_every_door": 2,
    # what must not hold the reactor; ``python -m tests.stall`` shows all of it
    "test_server_stalls.py::test_the_reactor_turns": 3,
}
"""``file::test`` -> every which case is played, the first one first."""

OF_FILES = {
    # over three protocols, hence not by threes
    "test_accounts_http.py": 4,
    "test_accounts_pam.py": 4,
    "test_accounts_sql.py": 4,
    "test_active_directory.py": 4,
    "test_ldap.py": 4,
    "test_oauth.py": 4,
    # one looks at what the others before it have left
    "test_metrics.py": 1,
}
"""Of the files of ``tests/interop``: every which test, where it is not every third."""

LONG = {
    "test_fire_damage.py::test_one_of_a_hundred_is_damaged",
    "test_imap_mirrors.py::test_mbsync_of_a_thousand_messages",
    "test_imap_stress.py::test_a_search_that_takes_long_lets_others_go_first",
    "test_imap_thunderbird.py::test_a_thousand_messages_are_there_without_the_server",
    "test_server_fetch.py::test_getmail",
    "test_server_fetch.py::test_the_archive_through_smtp_is_the_same",
    "test_server_submission.py::test_smtp_source_10000_messages_over_100_sessions",
}
"""What another test does, too: with less, or with another client."""

ALWAYS = {
    # every source lets people in by every protocol, and is missed when it is lost
    "test_another_server_takes_over",
    "test_logins",
    "test_one_server_is_lost",
    "test_users_of_the_machine_log_in",
    "test_who_is_in_the_database_logs_in",
    "test_whom_the_service_knows_logs_in",
    # nothing that was accepted is lost
    "test_killed_workers_lose_nothing_and_are_replaced",
    "test_kill_9_in_the_midst_of_deliveries_loses_nothing",
    "test_mail_waits_survives_a_crash_and_arrives",
    "test_ten_kills_lose_nothing",
    # no open relay
    "test_every_trick_is_refused_at_rcpt",
    # a reload drops nobody
    "test_none_is_dropped_and_each_sees_one_version",
}
"""Whatever else is left out of their files."""

PAGES = {
    *("backup.md", "metrics.md", "policies.md", "queue.md", "real-domain.md", "spam.md"),
    *("sender-authentication.md", "shared-hosting.md", "workers.md", "accounts-ldap.md"),
    *("accounts-oauth.md", "accounts.md0", "coming-from.md", "comparison.md", "testing.md"),
}
"""Half a minute each. README, the tutorial and the pages of every interface are followed in every
run."""

TRIALS = {"test_kill_9[mailframe]"}
"""Of the comparison; it takes minutes in all."""


def plays_all() -> bool:
    return os.environ.get("MAILFRAME_TESTS") == "all"


def is_played(items: Sequence[pytest.Item]) -> set[pytest.Item]:
    seen: Counter[str] = Counter()

    def has_its_turn(key: str, every: int) -> bool:
        seen[key] += 1
        return not (seen[key] - 1) % every

    played = set()
    for item in items:
        file, function = item.path.name, getattr(item, "originalname", item.name)
        name = f"{file}::{function}"
        is_case = has_its_turn(name, ONE_OF.get(name, 1)) and not _is_left_to_all(item, name)
        every = OF_FILES.get(file, 3) if item.path.parent.name == "interop" else 1
        if is_case and (function in ALWAYS or has_its_turn(file, every)):
            played.add(item)
    return played


def _is_left_to_all(item: pytest.Item, name: str) -> bool:
    if name in LONG:
        return True
    if name == "test_code_blocks.py::test_a_page_can_be_followed":
        return any(f"[{page}" in item.name for page in PAGES)
    is_trial = item.path.parent.name == "comparison" and item.get_closest_marker("slow")
    return bool(is_trial) and item.name not in TRIALS
