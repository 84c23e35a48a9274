"""moto's DynamoDB, as a server of its own, mended where it is no witness: `python -m tests.dynamodb_server PORT`.

- It carries out requests side by side on plain dictionaries, and undoes a cancelled transaction by putting back a
  copy of the whole table, with whatever others wrote meanwhile: here one request is carried out after the other.
  The copy, made once for each of up to 100 writes, is of the places alone: items are replaced, never changed.
- It sorts binary keys by their base64 text: here by their bytes, as DynamoDB does.
- It knows no ClientRequestToken: here a transaction that was carried out is answered, not done again.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

Answer = Iterable[bytes]


class Mended:
    """Wraps moto's application."""

    def __init__(self, app: Callable[..., Answer]) -> None:
        self._app = app
        self._turn = threading.Lock()
        self._done: dict[str, tuple[bytes, tuple[Any, ...], bytes]] = {}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Answer:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        is_transaction = environ.get("HTTP_X_AMZ_TARGET", "").endswith(".TransactWriteItems")
        token = json.loads(body).get("ClientRequestToken") if is_transaction else None
        with self._turn:
            if token in self._done:
                request, head, content = self._done[token]
                if request != body:
                    start_response("400 Bad Request", [("Content-Type", "application/x-amz-json-1.0")])
                    return [json.dumps({"__type": "IdempotentParameterMismatchException"}).encode()]
            else:
                heads: list[tuple[Any, ...]] = []
                content = b"".join(self._app(environ, lambda *said: heads.append(said)))
                head = heads[-1]
                if token is not None and str(head[0]).startswith("200"):
                    self._done[token] = body, head, content
        start_response(*head)
        return [content]


def _value(self: DynamoType) -> Any:
    if self.is_binary():
        return base64.b64decode(self.value) if isinstance(self.value, str) else self.value
    return _cast_value.__get__(self)


_cast_value: Any = DynamoType.cast_value


def _snapshot(self: Any, memo: dict[int, Any]) -> Any:
    copied = Table.__new__(Table)
    copied.__dict__.update(self.__dict__)
    copied.__dict__["items"] = defaultdict(dict, {key: dict(each) for key, each in self.items.items()})
    return copied


class KeepAlive(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"


def main() -> None:
    Table.__deepcopy__ = _snapshot  # type: ignore[attr-defined]
    DynamoType.cast_value = property(_value)  # type: ignore[method-assign,assignment]
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = Mended(DomainDispatcherApplication(create_backend_app))
    make_server("127.0.0.1", int(sys.argv[1]), app, threaded=True, request_handler=KeepAlive).serve_forever()


if __name__ == "__main__":
    main()
