"""Mailboxes. All by Asterisk's source."""

from __future__ import annotations

import pytest

from amiws_gevent.state.mailboxes import MailboxesPart
from tests.support.fed import Fed, event

BOX = "100@default"


@pytest.fixture
def fed() -> Fed:
    made = Fed()
    made.add(MailboxesPart(made.store))
    return made


def test_messages_wait(fed: Fed) -> None:
    """11, apps/app_voicemail.c: notify_new_message; 13, main/manager_mwi.c."""
    fed.say("MessageWaiting", Mailbox=BOX, Waiting=1, New=2, Old=5)
    assert fed.get("mailbox", BOX) == {
        "mailbox": BOX,
        "name": None,
        "waiting": True,
        "new": 2,
        "old": 5,
    }


def test_11_tells_no_counts_when_somebody_has_listened(fed: Fed) -> None:
    """11, apps/app_voicemail.c: vm_execmain has Mailbox and Waiting alone."""
    fed.say("MessageWaiting", Mailbox=BOX, Waiting=1, New=2, Old=5)
    fed.say("MessageWaiting", Mailbox=BOX, Waiting=1)
    assert fed.some("mailbox", BOX, "waiting", "new", "old") == (True, None, None)
    fed.say("MessageWaiting", Mailbox=BOX, Waiting=0)
    assert fed.some("mailbox", BOX, "waiting", "new") == (False, 0)


def test_all_are_listed(fed: Fed) -> None:
    """18, apps/app_voicemail.c: append_vmu_info_astman."""
    gone = event("VoicemailUserEntry", VMContext="default", VoiceMailbox="1", NewMessageCount=0)
    fed.list("VoicemailUsersList", gone)
    fed.list(
        "VoicemailUsersList",
        event(
            "VoicemailUserEntry",
            VMContext="default",
            VoiceMailbox="100",
            Fullname="Anna Agent",
            NewMessageCount=0,
            OldMessageCount=3,
        ),
    )
    assert fed.store.of("mailbox") == {
        BOX: {"mailbox": BOX, "name": "Anna Agent", "waiting": False, "new": 0, "old": 3}
    }


def test_a_mailbox_of_which_events_alone_tell_stays(fed: Fed) -> None:
    """22, apps/app_voicemail.c: manager_list_voicemail_users has those of voicemail.conf; realtime
    has others. channels/chan_sip.c: those of other servers are ``@SIP_Remote``."""
    fed.say("MessageWaiting", Mailbox="200@default", Waiting=1, New=2, Old=5)
    fed.list("VoicemailUsersList")  # "There are no voicemail users currently defined."
    assert fed.some("mailbox", "200@default", "new") == (2,)
