from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.phone.softphone import digest
from server.phone.softphone.dialog import Dialog, invited
from server.phone.softphone.errors import Malformed
from server.phone.softphone.message import (
    MAX_STRUCTURED,
    Request,
    Response,
    host_of,
    parameters,
    parse,
    response_to,
    tag_of,
    uri_of,
)

INVITE = (
    b"INVITE sip:ben@192.0.2.7 SIP/2.0\r\n"
    b"v: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKproxy,\r\n"
    b" SIP/2.0/UDP 192.0.2.5:5062;rport=5062;branch=z9hG4bKanna\r\n"
    b"Record-Route: <sip:192.0.2.1;lr;ftag=a>, <sip:192.0.2.2;lr>\r\n"
    b'f: "Anna, of <Sales>" <sip:anna@example.org>;tag=a\r\n'
    b"t: <sip:ben@example.org>\r\n"
    b"i: one@192.0.2.5\r\n"
    b"CSeq: 7 INVITE\r\n"
    b"m: <sip:anna@192.0.2.5:5062>;expires=60\r\n"
    b"l: 4\r\n"
    b"\r\n"
    b"v=0\r and what lies behind the length"
)


def _invite() -> Request:
    message = parse(INVITE)
    assert isinstance(message, Request)
    return message


def test_compact_folded_and_listed_fields_are_read() -> None:
    invite = _invite()
    assert (invite.method, invite.uri) == ("INVITE", "sip:ben@192.0.2.7")
    assert [parameters(one)["branch"] for one in invite.listed("via")] == [
        "z9hG4bKproxy",
        "z9hG4bKanna",
    ]
    assert invite.branch == "z9hG4bKproxy"
    assert invite.cseq == (7, "INVITE")
    assert invite.body == "v=0\r"
    caller = invite.get("from")
    assert tag_of(caller) == "a"
    assert uri_of(invite.get("contact")) == "sip:anna@192.0.2.5:5062"
    assert host_of("sip:anna@192.0.2.5:5062") == ("192.0.2.5", 5062)


def test_what_is_written_is_read_again_as_the_same() -> None:
    invite = _invite()
    again = parse(invite.written())
    assert isinstance(again, Request)
    assert [*again.fields] == [*invite.fields, ("Content-Length", "4")]
    assert again.body == invite.body


def test_an_answer_repeats_what_routes_it_and_names_its_own_tag_once() -> None:
    answer = parse(response_to(_invite(), 180, "Ringing", tag="b").written())
    assert isinstance(answer, Response)
    assert answer.listed("via") == _invite().listed("via")
    assert answer.listed("record-route") == _invite().listed("record-route")
    assert tag_of(answer.get("to")) == "b"
    later = response_to(Request(answer.fields, "", "INVITE", "sip:x@y"), 200, "OK", tag="c")
    assert tag_of(later.get("to")) == "b"


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\x00\xff" * 700,
        b"INVITE sip:ben@x SIP/2.0\r\n\r\n",
        INVITE.replace(b"7 INVITE", b"seven INVITE"),
        INVITE.replace(b"7 INVITE", b"7 BYE"),
        INVITE.replace(b"CSeq", b"Other"),
        INVITE.replace(b"one@", b"one\nVia: forged@"),
        INVITE.replace(b"SIP/2.0\r\n", b"SIP/9.9\r\n", 1),
        INVITE.replace(b"one@", b"<" * (MAX_STRUCTURED + 1)),
        INVITE.replace(b"l: 4", b"l: 4\r\n" + b"x: y\r\n" * 2000),
        INVITE.replace(b"l: 4", b"no field at all"),
    ],
)
def test_garbage_is_malformed_and_nothing_else(garbage: bytes) -> None:
    with pytest.raises(Malformed):
        parse(garbage)


@given(st.binary(max_size=300), st.integers(0, len(INVITE)))
def test_no_datagram_raises_anything_else(noise: bytes, at: int) -> None:
    for data in (noise, INVITE[:at] + noise + INVITE[at:], INVITE[:at] + noise):
        try:
            message = parse(data)
        except Malformed:
            continue
        response_to(message, 200, "OK", "t") if isinstance(message, Request) else None
        message.listed("contact"), message.branch, message.cseq


def test_sixty_kilobytes_of_fields_are_read() -> None:
    long = INVITE.replace(b"l: 4", b"l: 4\r\n" + b"X-Long: " + b"a" * 60_000)
    assert len(parse(long).get("x-long")) == 60_000


def test_digest_is_that_of_the_rfcs_examples() -> None:
    old = digest.chosen(
        [
            'Basic realm="no"',
            'Digest realm="testrealm@host.com", qop="auth,auth-int",'
            ' nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",'
            ' opaque="5ccc069c403ebaf9f0171e9517f40e41"',
        ]
    )
    assert old is not None
    said = digest.answer(
        old, "Mufasa", "Circle Of Life", "GET", "/dir/index.html", cnonce="0a4f113b"
    )
    assert 'response="6629fae49393a05397450978507c4ef1"' in said  # RFC 2617, 3.5
    assert "nc=00000001" in said and 'opaque="5ccc069c403ebaf9f0171e9517f40e41"' in said
    new = digest.Challenge(
        "http-auth@example.org",
        "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        algorithm="SHA-256",
        qop="auth",
    )
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    said = digest.answer(new, "Mufasa", "Circle of Life", "GET", "/dir/index.html", cnonce)
    assert "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1" in said  # RFC 7616


def test_a_hash_in_the_place_of_a_password_says_the_same() -> None:
    challenge = digest.Challenge("testrealm@host.com", "n", qop="auth")
    hashed = hashlib.md5(b"Mufasa:testrealm@host.com:Circle Of Life").hexdigest()
    plain, by_hash = (
        digest.answer(challenge, "Mufasa", word, "REGISTER", "sip:pbx", "c")
        for word in ("Circle Of Life", f"ha1:{hashed.upper()}")
    )
    assert plain == by_hash


def test_a_hash_answers_no_challenge_of_another_algorithm() -> None:
    both = ["Digest realm=pbx, nonce=n, algorithm=SHA-256", "Digest realm=pbx, nonce=m"]
    found = digest.chosen(both, f"ha1:{'0' * 32}")
    assert found is not None and found.algorithm == "MD5"
    assert digest.chosen(both[:1], f"ha1:{'0' * 32}") is None


def test_a_challenge_without_qop_is_answered_in_the_old_way() -> None:
    found = digest.chosen(["Digest realm=pbx, nonce=n, stale=TRUE"])
    assert found == digest.Challenge("pbx", "n", stale=True)
    assert "cnonce" not in digest.answer(found, "u", "p", "REGISTER", "sip:pbx", "c")


@pytest.mark.parametrize("field", ["Digest", 'Digest realm="x"', "Digest nonce=n, algorithm=ROT13"])
def test_a_challenge_that_cannot_be_answered_is_passed_over(field: str) -> None:
    assert digest.chosen([field]) is None


def test_a_dialog_goes_back_the_way_its_invite_came() -> None:
    theirs = invited(_invite(), "b", "<sip:ben@192.0.2.7:5060>")
    assert theirs.next_hop(("192.0.2.9", 1)) == ("192.0.2.1", 5060)
    bye = theirs.request("BYE")
    assert bye.uri == "sip:anna@192.0.2.5:5062"
    assert bye.listed("route") == ["<sip:192.0.2.1;lr;ftag=a>", "<sip:192.0.2.2;lr>"]
    assert tag_of(bye.get("from")) == "b" and tag_of(bye.get("to")) == "a"


def test_a_callers_dialog_takes_its_way_from_the_answer_and_counts_its_requests() -> None:
    ours = Dialog("one@192.0.2.5", "<sip:anna@x>;tag=a", "<sip:ben@x>", "sip:ben@x", "<sip:anna@y>")
    assert ours.next_hop(("192.0.2.9", 1)) == ("192.0.2.9", 1)
    invite = ours.request("INVITE")
    answer = response_to(_invite(), 200, "OK", tag="b")
    answer.add("Contact", "<sip:ben@192.0.2.7:5099>")
    ours.answered(answer)
    assert ours.request("ACK", invite.cseq[0]).cseq == (1, "ACK")
    bye = ours.request("BYE")
    assert bye.cseq == (2, "BYE") and bye.uri == "sip:ben@192.0.2.7:5099"
    assert bye.listed("route")[0] == "<sip:192.0.2.2;lr>"
    assert not ours.expects(bye)  # our own, by its tags
