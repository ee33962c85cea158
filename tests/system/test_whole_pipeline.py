"""A message goes in by HTTP and comes out delivered, on the platform that `make up` starts."""

import json
import subprocess
from email import message_from_string, policy

import pytest

from tests.support.platform import Platform
from tests.support.waiting import wait_until

pytestmark = pytest.mark.xdist_group("platform")


def test_the_printed_curl_is_answered_with_the_truth(platform: Platform) -> None:
    curl = platform.told[platform.told.index("curl") :]

    answer = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, check=True).stdout

    head, _, body = answer.partition("\n\n")
    meta = json.loads(body)["meta"]
    assert "HTTP/1.1 201 Created" in head
    assert ("sent", "delivered_in_part") == (meta["status"], meta["status_reason"])
    assert [platform.account("closed-to-all-1"), platform.account("mailbox-550")] == meta["failed_recipients"]


def test_each_recipient_of_a_mixed_message_stands_where_it_should(platform: Platform) -> None:
    sent = platform.post("inbox-02", "email-02", "closed-to-all-2", "mailbox-550", "mailbox-451", "jobs-only-1")

    data = platform.get(sent.headers["location"]).json()["data"]

    expected = {
        "inbox-02": ("delivered", None),
        "email-02": ("delivered", None),
        "closed-to-all-2": ("blocked", "closed_to_everybody"),
        "mailbox-550": ("failed", "mailbox_refused"),
        "mailbox-451": ("retrying", "try_later"),
        "jobs-only-1": ("blocked", "type_not_accepted"),
    }
    stands = {each["uuid"]: (each["state"], each["reason"]) for each in data["recipients"]}
    assert {platform.account(name): standing for name, standing in expected.items()} == stands


def test_the_mail_has_the_headers_of_a_good_citizen(platform: Platform) -> None:
    subject = "Über die Brücke, " + "sehr " * 20
    platform.post("email-03", sender_name="Zoë Ångström", sender_email="zoe@example.com", subject=subject, body="ß\r\n")

    raw = next(mail["raw"] for mail in platform.mails() if mail["rcpt_to"][0].startswith("email-03"))

    mail = message_from_string(raw, policy=policy.default)
    assert subject == mail["subject"]
    assert "Zoë Ångström <messages@postroom.localhost>" == mail["from"]
    assert "Zoë Ångström <zoe@example.com>" == mail["reply-to"]
    assert "ß\n" == mail.get_content().replace("\r\n", "\n")
    assert 1 == len(mail.get_all("message-id", []))
    assert {"Date", "List-Unsubscribe"} <= set(mail.keys())
    # An address that is folded or encoded is not read by the programs that unsubscribe (RFC 8058 section 2).
    folded = [line for line in raw.splitlines() if not line.startswith("List-Unsubscribe:")]
    assert max(map(len, folded)) <= 78
    assert mail["list-unsubscribe"].startswith("<http")


def test_the_inbox_shows_the_letter(platform: Platform) -> None:
    sent = platform.post("inbox-04", subject="For the inbox")

    letters = platform.get(f"/accounts/{platform.account('inbox-04')}/inbox").json()["data"]

    assert [(sent.json()["meta"]["message_uuid"], "For the inbox")] == [
        (letter["message_uuid"], letter["subject"]) for letter in letters
    ]


def test_a_flagged_message_waits_for_staff_and_goes_out_when_they_approve(platform: Platform) -> None:
    meta = platform.post("inbox-05", "email-05", body="By WIRE\ntransfer only").json()["meta"]
    held_mails = [mail for mail in platform.mails() if mail["rcpt_to"][0].startswith("email-05")]

    listed = platform.command("vetting", "list", "--json")
    approved = platform.command("vetting", "approve", meta["message_vetting_id"])

    assert ("pending", "in_review") == (meta["status"], meta["status_reason"])
    assert [] == held_mails
    assert meta["message_vetting_id"] in [case["case_id"] for case in json.loads(listed.stdout)["cases"]]
    assert 0 == approved.returncode, approved.stderr
    wait_until(lambda: "delivered" == platform.get(f"/messages/{meta['message_uuid']}").json()["meta"]["status_reason"])


def test_a_message_that_staff_reject_is_rejected(platform: Platform) -> None:
    meta = platform.post("inbox-06", "email-06", subject="An advance fee").json()["meta"]

    wait_until(lambda: 0 == platform.command("vetting", "reject", meta["message_vetting_id"]).returncode)

    after = platform.get(f"/messages/{meta['message_uuid']}").json()["meta"]
    assert ("rejected", "refused_by_staff") == (after["status"], after["status_reason"])


def test_why_tells_in_plain_words_what_happened_and_what_happens_next(platform: Platform) -> None:
    meta = platform.post("inbox-07", "mailbox-451", "closed-to-all-3").json()["meta"]

    told = platform.command("why", meta["message_uuid"]).stdout

    assert "delivered by in-app inbox" in told
    assert "the account accepts no messages from anybody" in told
    assert "the mail server asked to try later" in told
    assert "next: the next attempt is made in" in told


def test_why_answers_programs_in_json(platform: Platform) -> None:
    meta = platform.post("inbox-08", "mailbox-451").json()["meta"]

    told = json.loads(platform.command("why", meta["message_uuid"], "--json").stdout)

    assert (meta["message_uuid"], "sent") == (told["message_uuid"], told["status"])
    assert ["delivered", "retrying"] == [each["state"] for each in told["recipients"]]


def test_why_says_when_there_is_no_such_message(platform: Platform) -> None:
    answer = platform.command("why", platform.account("inbox-01"))

    assert 1 == answer.returncode
    assert "there is no message" in answer.stderr


def test_queues_shows_broker_database_and_workers(platform: Platform) -> None:
    told = json.loads(platform.command("queues", "--json").stdout)

    assert ["accept", "decide", "vetting", "deliver.smtp"] == [each["name"] for each in told["queues"]]
    assert [["accept", "decide", "vetting"], ["deliver.smtp"]] == sorted(each["queues"] for each in told["workers"])


def test_demo_json_tells_programs_all_they_need(platform: Platform) -> None:
    facts = platform.facts

    notes = [(account["channel"], account["note"]) for account in facts["accounts"]]

    assert 25 == notes.count(("inbox", "reached by the in-app inbox"))
    assert 25 == notes.count(("email", "reached by e-mail"))
    assert 58 == len(notes)
    assert {"base_url", "api_key", "client_id", "client_secret", "mail_sink_url", "database_url"} <= set(facts)
    assert 0o600 == (platform.data / "demo.json").stat().st_mode & 0o777
