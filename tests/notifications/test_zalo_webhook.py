"""Webhook calls: signed as documented, fresh, read into receipts that are the same every time."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest

from engine.errors import InvalidData
from notifications.standin.zalo_oa import Sent
from notifications.standin.zalo_receipts import Webhook
from notifications.zalo_webhook import (
    SecretPair,
    WebhookRefused,
    is_bot_secret,
    parse,
    receive,
    secret_pairs,
    verify,
)
from tests.notifications.accounts import NOON, an_account

APP, OA, SECRET = "2074138120372622546", "2893352839501541173", "OASECRET"
RAW = (
    b'{"sender":{"id":"2893352839501541173"},"recipient":{"id":"84987654321"},"event_name":'
    b'"user_received_message","message":{"delivery_time":"1795420000432","msg_id":'
    b'"15a0cc0bbb13bd4ce403","tracking_id":"digest:stc:2026-11-23:zns"},"app_id":'
    b'"2074138120372622546","timestamp":"1795420000477"}'
)
MAC = "mac=be7e9ffd2d28550319c6226794038db57dbbeb4511ede1ed628a20c814c758ec"
PAIRS = [SecretPair(OA, "another"), SecretPair(APP, SECRET)]
SENT_AT = datetime.fromtimestamp(1795420000.477, UTC)


def signed(event: object) -> tuple[bytes, str]:
    raw = json.dumps(event).encode()
    stamp = event.get("timestamp", "") if isinstance(event, dict) else ""
    made = hashlib.sha256(APP.encode() + raw + str(stamp).encode() + SECRET.encode())
    return raw, f"mac={made.hexdigest()}"


class TestSignature:
    def test_the_published_vector_matches_and_says_which_pair(self) -> None:
        assert verify(RAW, MAC, PAIRS) == PAIRS[1]
        assert verify(RAW, MAC.upper().replace("MAC=", "mac="), PAIRS) == PAIRS[1]

    def test_the_same_json_written_otherwise_is_refused(self) -> None:
        again = json.dumps(json.loads(RAW)).encode()

        assert json.loads(again) == json.loads(RAW)
        assert verify(again, MAC, PAIRS) is None

    def test_an_hmac_is_refused(self) -> None:
        for message in (RAW, APP.encode() + RAW + b"1795420000477"):
            made = hmac.digest(SECRET.encode(), message, "sha256").hex()
            assert verify(RAW, f"mac={made}", PAIRS) is None

    @pytest.mark.parametrize("header", ["", "mac=", "mac=é", MAC[:-1], MAC[:-1] + "d", "mac=" * 9])
    def test_any_other_signature_is_refused(self, header: str) -> None:
        assert verify(RAW, header, PAIRS) is None

    def test_without_pairs_nothing_is_signed(self) -> None:
        assert verify(RAW, MAC, []) is None

    @pytest.mark.parametrize("event", [[], "x", {"event_name": "x"}, {"timestamp": True}])
    def test_a_body_without_a_timestamp_is_refused_however_signed(self, event: object) -> None:
        raw, header = signed(event)

        assert verify(raw, header, PAIRS) is None

    def test_the_stand_in_signs_the_same_way(self) -> None:
        hook = Webhook("http://x", APP, SECRET, lambda: NOON)
        raw = hook.body(an_account(), Sent("84987654321", "t1", {}, "abc", "z1", development=False))

        assert verify(raw, hook.signature(raw), PAIRS) == PAIRS[1]
        (receipt,) = receive(raw, hook.signature(raw), PAIRS, NOON)
        assert (receipt.kind, receipt.tracking_id, receipt.at) == ("delivered", "abc", NOON)

    def test_secrets_are_read_from_the_settings_and_never_shown(self) -> None:
        pairs = secret_pairs(f"{APP}:{SECRET}, {OA}:b:c")

        assert pairs == [SecretPair(APP, SECRET), SecretPair(OA, "b:c")]
        assert SECRET not in repr(pairs)
        for text in ("", "a", "a:", ":b", "a:b,"):
            with pytest.raises(InvalidData):
                secret_pairs(text)


class TestReceipts:
    def test_a_receipt_names_our_tracking_id_and_zalos_message(self) -> None:
        (receipt,) = parse(RAW)

        assert (receipt.source, receipt.kind) == ("zalo_zbs", "delivered")
        assert receipt.tracking_id == "digest:stc:2026-11-23:zns"
        assert receipt.provider_message_id == "15a0cc0bbb13bd4ce403"
        assert receipt.at == SENT_AT

    def test_a_repeat_has_the_key_of_the_first_call(self) -> None:
        event = json.loads(RAW)
        repeat = json.dumps({**event, "timestamp": "1795420030477", "num_retry": 1}).encode()
        other = RAW.replace(b"15a0cc0bbb13bd4ce403", b"15a0cc0bbb13bd4ce404")
        read = json.dumps({**event, "event_name": "user_seen_message"}).encode()

        keys = [parse(raw)[0].event_key for raw in (RAW, repeat, other, read)]

        assert keys[0] == keys[1]
        assert len(set(keys)) == 3

    def test_a_message_of_the_account_itself_is_another_channels(self) -> None:
        event = {"event_name": "user_received_message", "timestamp": 1795420000477}

        (receipt,) = parse(json.dumps({**event, "message": {"msg_id": "m"}}).encode())

        assert (receipt.source, receipt.tracking_id) == ("zalo_uid", None)

    def test_several_messages_seen_at_once_are_several_receipts(self) -> None:
        event = {"event_name": "user_seen_message", "timestamp": "1795420000477"}
        raw = json.dumps({**event, "message": {"msg_ids": ["a", "b", 3]}}).encode()

        found = parse(raw)

        assert [(r.kind, r.provider_message_id) for r in found] == [("seen", "a"), ("seen", "b")]
        assert found[0].event_key != found[1].event_key

    @pytest.mark.parametrize("message", [None, [], "x", {"msg_id": 7}])
    def test_whatever_else_comes_is_other(self, message: object) -> None:
        event = {"event_name": "change_template_status", "timestamp": "1", "message": message}

        (receipt,) = parse(json.dumps(event).encode())

        assert (receipt.kind, receipt.provider_message_id) == ("other", None)

    @pytest.mark.parametrize(
        "raw",
        [b"", b"{", b"[]", b"\xff", b'{"timestamp":"x"}', b'{"timestamp":1e99}', b"[" * 99_999],
    )
    def test_what_cannot_be_read_is_refused(self, raw: bytes) -> None:
        with pytest.raises(WebhookRefused):
            parse(raw)


class TestFreshness:
    @pytest.mark.parametrize("age", [timedelta(minutes=-5), timedelta(0), timedelta(hours=24)])
    def test_what_is_fresh_is_taken(self, age: timedelta) -> None:
        assert receive(RAW, MAC, PAIRS, SENT_AT + age) == parse(RAW)

    @pytest.mark.parametrize(
        "age", [timedelta(minutes=-5, seconds=-1), timedelta(hours=24, seconds=1)]
    )
    def test_a_replay_and_a_call_from_the_future_are_refused(self, age: timedelta) -> None:
        with pytest.raises(WebhookRefused, match="too old"):
            receive(RAW, MAC, PAIRS, SENT_AT + age)

    def test_a_wrong_signature_is_refused_first(self) -> None:
        with pytest.raises(WebhookRefused, match="signature"):
            receive(RAW, "mac=0", PAIRS, SENT_AT)


def test_the_bots_secret_is_compared_whole() -> None:
    assert is_bot_secret("s3cret-word", "s3cret-word")
    assert not any(is_bot_secret(given, "s3cret-word") for given in (None, "", "s3cret", "é"))
