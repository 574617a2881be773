# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.
"""A Keystone and a Glance that answer what a test puts into them.

A real HTTP server on the loopback interface: what is tested is what the
libraries make of an answer, so nothing of them is replaced.
"""

from collections.abc import Callable
import dataclasses
import http.server
import json
import threading
from typing import Any
import urllib.parse

HTML = 'text/html; charset=UTF-8'
JSON = 'application/json'
SECRET = 'not-for-the-log'


def refusal(status: int, text: str) -> 'Answer':
    """Return an error as webob formats one of Glance's."""
    title = f'{status} {http.HTTPStatus(status).phrase}'
    return Answer(
        status,
        f'<html>\n <head>\n  <title>{title}</title>\n </head>\n <body>\n'
        f'  <h1>{title}</h1>\n  {text}<br /><br />\n\n\n </body>\n</html>',
        HTML,
    )


@dataclasses.dataclass(frozen=True)
class Answer:
    """What to answer; content_type None sends no such header."""

    status: int = 200
    body: object = ''
    content_type: str | None = JSON

    @property
    def content(self) -> bytes:
        """The bytes to send."""
        if isinstance(self.body, bytes):
            return self.body
        if isinstance(self.body, str):
            return self.body.encode()
        return json.dumps(self.body).encode()


@dataclasses.dataclass(frozen=True)
class Request:
    """What was asked of Glance."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes
    token: str

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


Answering = Callable[[Request], Answer]


class StubCloud:
    """The server; a context manager.

    `answer` answers for Glance, `keystone` for Keystone's tokens if it is
    set; None from either hangs up without a word. A token in `expired` is
    answered with 401.
    """

    def __init__(self) -> None:
        self.answer: Callable[[Request], Answer | None] = lambda _: Answer()
        self.keystone: Answer | None = None
        self.expired: set[str] = set()
        self.tokens = 0
        self.released = threading.Event()
        self._server = http.server.ThreadingHTTPServer(
            ('127.0.0.1', 0), _handler(self)
        )
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={'poll_interval': 0.01}
        )

    def __enter__(self) -> 'StubCloud':
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f'http://127.0.0.1:{self._server.server_port}'

    def always(self, answer: Answer) -> None:
        """Give one answer to whatever Glance is asked."""
        self.answer = lambda _: answer

    def serve(self, request: Request) -> tuple[Answer, dict[str, str]] | None:
        """Return an answer and headers; None to hang up."""
        if not request.path.startswith('/v3'):
            if request.token in self.expired:
                return refusal(401, 'Authentication required'), {}
            answer = self.answer(request)
            return None if answer is None else (answer, {})
        if request.path == '/v3':
            return Answer(200, {'version': self._version()}), {}
        if self.keystone is not None:
            return self.keystone, {}
        self.tokens += 1
        token = {'X-Subject-Token': f'{SECRET}-{self.tokens}'}
        return Answer(201, {'token': self._token()}), token

    def _version(self) -> dict[str, object]:
        links = [{'rel': 'self', 'href': f'{self.url}/v3'}]
        return {'id': 'v3.14', 'status': 'stable', 'links': links}

    def _token(self) -> dict[str, object]:
        endpoint = {'id': '1', 'interface': 'public', 'url': self.url}
        endpoint |= {'region': 'here', 'region_id': 'here'}
        return {
            'methods': ['password'],
            'user': {'id': 'u', 'name': 'u', 'domain': {'id': 'd'}},
            'expires_at': '2099-01-01T00:00:00.000000Z',
            'issued_at': '2026-01-01T00:00:00.000000Z',
            'project': {'id': 'p', 'name': 'p', 'domain': {'id': 'd'}},
            'roles': [],
            'catalog': [
                {
                    'id': 'i',
                    'type': 'image',
                    'name': 'glance',
                    'endpoints': [endpoint],
                }
            ],
        }


def _handler(cloud: StubCloud) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'
        # Headers and body go out as two packets: without this the second
        # waits 40 ms for the client to acknowledge the first.
        disable_nagle_algorithm = True

        def handle_any(self) -> None:
            url = urllib.parse.urlsplit(self.path)
            length = int(self.headers.get('Content-Length', 0))
            request = Request(
                self.command,
                url.path,
                dict(urllib.parse.parse_qsl(url.query)),
                self.rfile.read(length),
                self.headers.get('X-Auth-Token', ''),
            )
            served = cloud.serve(request)
            if served is None:
                self.close_connection = True
                return
            answer, headers = served
            self.send_response(answer.status)
            if answer.content_type is not None:
                headers['Content-Type'] = answer.content_type
            headers['Content-Length'] = str(len(answer.content))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_PATCH = handle_any  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    return Handler
