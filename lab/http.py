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
"""The little HTTP that setting up and looking at the servers needs."""

import dataclasses
import http.client
import json
from typing import Any
import urllib.error
import urllib.request

from lab import errors

# No proxy from the environment between us and the loopback interface.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered, whatever the status."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """Parse the body as a JSON object."""
        value = json.loads(self.body or b'{}')
        return value if isinstance(value, dict) else {'': value}


def request(
    method: str,
    url: str,
    *,
    body: object = None,
    data: bytes | None = None,
    headers: dict[str, str] | None = None,
    timeout_s: float = 30,
) -> Answer:
    """Send one request; OSError when there is no answer."""
    sent = {'Accept': 'application/json', **(headers or {})}
    if body is not None:
        data = json.dumps(body).encode()
        sent.setdefault('Content-Type', 'application/json')
    question = urllib.request.Request(
        url, data=data, headers=sent, method=method
    )
    try:
        with _OPENER.open(question, timeout=timeout_s) as answer:
            return Answer(answer.status, dict(answer.headers), answer.read())
    except urllib.error.HTTPError as exc:
        with exc:
            return Answer(exc.code, dict(exc.headers), exc.read())
    except http.client.HTTPException as exc:
        raise ConnectionError(f'no HTTP from {url}: {exc!r}') from exc


def version_problem(url: str) -> str | None:
    """Ask an OpenStack API for its versions; None if it gives them."""
    try:
        answer = request('GET', url, timeout_s=5)
    except OSError as exc:
        return f'no answer from {url}: {getattr(exc, "reason", exc)}'
    if answer.status not in (200, 300):
        return f'{url} answered {answer.status}'
    return None


def checked(method: str, url: str, token: str, body: object = None) -> Answer:
    """Send an authenticated request that has to succeed."""
    answer = request(method, url, body=body, headers={'X-Auth-Token': token})
    if answer.status >= 300:
        raise errors.LabError(
            f'{method} {url} answered {answer.status}: '
            f'{answer.body[:300].decode(errors="replace")}'
        )
    return answer
