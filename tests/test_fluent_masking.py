from __future__ import annotations

import json
from urllib.parse import quote, quote_plus

from hypothesis import given
from hypothesis import strategies as st

from fc_connect.fluent.masking import Mask

secrets = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="*"), min_size=6, max_size=40)


@given(secrets, st.text(max_size=20), st.text(max_size=20))
def test_a_secret_is_masked_in_every_spelling_a_server_may_echo(secret: str, before: str, after: str) -> None:
    spellings = [
        secret,
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        quote(secret),
        quote_plus(secret),
    ]

    masked = [Mask(secret).text(f"{before}<{spelling}>{after}") for spelling in spellings]

    assert all("***" in text for text in masked)
    assert all(secret not in text for text in masked)


def test_a_secret_on_the_edge_of_the_cut_is_masked_whole() -> None:
    masked = Mask("hunter2-hunter2").text("x" * 10 + "hunter2-hunter2", limit=15)

    assert masked == "x" * 10 + "***"


def test_the_longer_of_two_secrets_goes_first() -> None:
    masked = Mask("abcdef", "abcdef-ghij").text("<abcdef-ghij>")

    assert masked == "<***>"


def test_secrets_of_others_are_masked_by_their_names() -> None:
    body = '{"access_token": "zzz", "expires_in": 5, "note": "authorization: Bearer qqqqqqqqqq"}'

    masked = Mask().text(body)

    assert "zzz" not in masked
    assert "qqqqqqqqqq" not in masked
    assert '"expires_in": 5' in masked


def test_text_without_secrets_stays_as_it_is() -> None:
    text = '{"errors":[{"code":"C0120","message":"Not found: location L1"}]}'

    assert Mask("s3cret", "").text(text, limit=1000) == text
