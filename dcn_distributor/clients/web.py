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
"""Answers to http: what machines ask of a running agent.

/metrics, /healthz and /readyz, by GET; nothing can be changed. Whoever asks
is not asked who he is.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
import socket
import socketserver
import threading
from typing import TYPE_CHECKING
from wsgiref import simple_server

from oslo_log import log

from dcn_distributor import exceptions
from dcn_distributor.conf import metrics
from dcn_distributor.core import observing

if TYPE_CHECKING:
    from _typeshed import wsgi

LOG = log.getLogger(__name__)

Pages = Mapping[str, 'wsgi.WSGIApplication']

# How long one who asks may keep us waiting.
_PATIENCE_S = 10.0

_PLAIN = ('Content-Type', 'text/plain; charset=utf-8')


class Server:
    """Answers by path. Open it in the worker, after the fork.

    :param pages: a WSGI application for each path
    """

    def __init__(
        self,
        address: metrics.Address,
        pages: Pages,
    ) -> None:
        self._address = address
        self._pages = pages
        self._server: simple_server.WSGIServer | None = None

    def start(self) -> None:
        """Start answering. Raises AddressUnavailable."""
        kind = _Server6 if ':' in self._address.host else _Server
        try:
            server = kind((self._address.host, self._address.port), _Request)
        except OSError as exc:
            raise exceptions.AddressUnavailable(
                f'[metrics] host and port: {self._address} cannot be '
                f'listened at: {exc.strerror or exc}'
            ) from exc
        server.set_app(self._answer)
        threading.Thread(
            target=server.serve_forever, name='web', daemon=True
        ).start()
        self._server = server
        LOG.info('Metrics at http://%s/metrics', self._address)

    def stop(self) -> None:
        """Stop answering."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    @property
    def port(self) -> int:
        """At which port it answers."""
        assert self._server is not None
        return self._server.server_port

    def _answer(
        self,
        environ: 'wsgi.WSGIEnvironment',
        start_response: 'wsgi.StartResponse',
    ) -> Iterable[bytes]:
        if environ['REQUEST_METHOD'] != 'GET':
            start_response('405 Method Not Allowed', [('Allow', 'GET')])
            return [b'']
        page = self._pages.get(environ['PATH_INFO'])
        if page is None:
            # NOTE: a new list each time, since wsgiref adds to it.
            start_response('404 Not Found', [_PLAIN])
            return [''.join(f'{path}\n' for path in self._pages).encode()]
        return page(environ, start_response)


def check_page(
    check: Callable[[], Iterable[observing.Check]],
) -> 'wsgi.WSGIApplication':
    """Make a page of checks: 200 if all are good, 503 if not.

    It has one line for each.
    """

    def page(
        environ: 'wsgi.WSGIEnvironment',
        start_response: 'wsgi.StartResponse',
    ) -> Iterable[bytes]:
        checks = tuple(check())
        is_good = all(one.is_good for one in checks)
        start_response(
            '200 OK' if is_good else '503 Service Unavailable', [_PLAIN]
        )
        return [''.join(map(_line, checks)).encode()]

    return page


def _line(check: observing.Check) -> str:
    word = 'ok' if check.is_good else 'failed'
    return f'{check.name}: {word}: {" ".join(check.reason.split())}\n'


class _Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Request(simple_server.WSGIRequestHandler):
    timeout = _PATIENCE_S

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Leave what was asked out of the log, but at DEBUG."""
        LOG.debug('%s %s', self.address_string(), format % args)
