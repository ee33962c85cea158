"""A message that is sent by HTTP is delivered by the processes that `make up` starts."""

import json
import subprocess
from email import message_from_string, policy

import pytest

from tests.support.platform import Platform
from tests.support.waiting import wait_until

pytestmark = pytest.mark.xdist_group("platform")


def test_the_printed_curl_command_gets_a_correct_answer(platform: Platform) -> None:
    curl = platform.told[platform.told.index("curl") :]

    answer = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, check=True).stdout

    head, _, body = answer.partition("\n\n")
    meta = json.loads(body)["meta"]
    assert "HTTP/1.1 201 Created" in head
    assert ("sent", "delivered_in_part") == (meta["status"], meta["status_reason"])
    assert [platform.account("closed-to-all-1"), platform.account("mailbox-550")] == meta["failed_recipients"]


def test_each_recipient_of_a_mixed_message_has_its_own_state(platform: Platform) -> None:
    sent = platform.post("inbox-02", "email-02", "closed-to-all-2", "mailbox-550", "mailbox-451", "jobs-only-1")

    data = platform.get(sent.headers["location"]).json()["data"]

    expected = {
        "inbox-02": ("delivered", None),
        "email-02": ("delivered", None),
        "closed-to-all-2": ("blocked", "blocked_by_preferences"),
        "mailbox-550": ("failed", "mailbox_refused"),
        "mailbox-451": ("retrying", "try_later"),
        "jobs-only-1": ("blocked", "blocked_by_preferences"),
    }
    actual = {each["uuid"]: (each["state"], each["reason"]) for each in data["recipients"]}
    assert {platform.account(name): expectation for name, expectation in expected.items()} == actual


def test_a_mail_has_all_recommended_headers(platform: Platform) -> None:
    subject = "Über die Brücke, " + "sehr " * 20
    platform.post("email-03", sender_name="Zoë Ångström", sender_email="zoe@example.com", subject=subject, body="ß\r\n")

    raw = next(mail["raw"] for mail in platform.mails() if mail["rcpt_to"][0].startswith("email-03"))

    mail = message_from_string(raw, policy=policy.default)
    assert subject == mail["subject"]
    assert "Zoë Ångström <messages@postroom.localhost>" == mail["from"]
    assert '"Zoë Ångström (unverified address)" <zoe@example.com>' == mail["reply-to"]
    assert "ß\n" == mail.get_content().replace("\r\n", "\n")
    assert 1 == len(mail.get_all("message-id", []))
    assert {"Date", "List-Unsubscribe"} <= set(mail.keys())
    # Programs that unsubscribe do not read an address that is folded or encoded (RFC 8058 section 2).
    folded = [line for line in raw.splitlines() if not line.startswith("List-Unsubscribe:")]
    assert max(map(len, folded)) <= 78
    assert mail["list-unsubscribe"].startswith("<http")


def test_the_inbox_lists_the_message(platform: Platform) -> None:
    sent = platform.post("inbox-04", subject="For the inbox")

    letters = platform.get(f"/accounts/{platform.account('inbox-04')}/inbox").json()["data"]

    assert [(sent.json()["meta"]["message_uuid"], "For the inbox")] == [
        (letter["message_uuid"], letter["subject"]) for letter in letters
    ]


def test_a_flagged_message_waits_for_staff_and_is_delivered_when_they_approve(platform: Platform) -> None:
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


def test_why_explains_what_happened_and_what_happens_next(platform: Platform) -> None:
    meta = platform.post("inbox-07", "mailbox-451", "closed-to-all-3").json()["meta"]

    output = platform.command("why", meta["message_uuid"]).stdout

    assert "delivered by in-app inbox" in output
    assert "why: the account accepts no messages" in output
    assert "the mail relay was not reached or asked for another attempt" in output
    assert "next: the next attempt is made in" in output


def test_why_prints_json(platform: Platform) -> None:
    meta = platform.post("inbox-08", "mailbox-451").json()["meta"]

    output = json.loads(platform.command("why", meta["message_uuid"], "--json").stdout)

    assert (meta["message_uuid"], "sent") == (output["message_uuid"], output["status"])
    assert ["delivered", "retrying"] == [each["state"] for each in output["recipients"]]


def test_why_reports_an_unknown_message(platform: Platform) -> None:
    answer = platform.command("why", platform.account("inbox-01"))

    assert 1 == answer.returncode
    assert "there is no message" in answer.stderr


def test_queues_lists_queues_and_workers(platform: Platform) -> None:
    output = json.loads(platform.command("queues", "--json").stdout)

    assert ["accept", "decide", "vetting", "deliver.smtp"] == [each["name"] for each in output["queues"]]
    assert [["accept", "decide", "vetting"], ["deliver.smtp"]] == sorted(each["queues"] for each in output["workers"])


def test_demo_json_has_all_that_programs_need(platform: Platform) -> None:
    facts = platform.facts

    notes = [(account["channel"], account["note"]) for account in facts["accounts"]]

    assert 25 == notes.count(("inbox", "reached by the in-app inbox"))
    assert 25 == notes.count(("email", "reached by e-mail"))
    assert 58 == len(notes)
    assert {"base_url", "api_key", "client_id", "client_secret", "mail_sink_url", "database_url"} <= set(facts)
    assert 0o600 == (platform.data / "demo.json").stat().st_mode & 0o777
