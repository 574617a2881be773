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
"""What glanceclient and keystoneauth1 raise, as errors of ours."""

from collections.abc import Iterator
import contextlib
from typing import Any

from glanceclient import exc as glance_exc
from keystoneauth1 import exceptions as ksa_exc

from dcn_distributor import exceptions
from dcn_distributor.clients import glance_refusals


@contextlib.contextmanager
def translated(
    what: str, *, policy: str, special: glance_refusals.Special | None = None
) -> Iterator[None]:
    """Turn whatever the libraries raise into an error of ours.

    Whatever: beside its own errors that is OSError (those of requests are,
    so is an unreadable CA file), ValueError (broken JSON, URLs, encodings),
    what exc.from_response of glanceclient trips over in an error without
    Content-Type, and bare Exception (keystoneauth1: an option that Keystone
    needs is missing). For that reason only a call of the libraries belongs
    inside: no bug of ours must look like an outage.

    :param what: what was tried, to follow "cannot".
    :param policy: the rule of Glance that has to allow it.
    :param special: by status, a function from what Glance said to the error
        and a hint, where the status alone does not tell.
    """
    try:
        yield
    except Exception as exc:
        error, said = _classify(exc, policy, special or {})
        raise error(f'cannot {what}: {said}') from exc


def _classify(
    exc: Exception, policy: str, special: glance_refusals.Special
) -> tuple[glance_refusals.Error, str]:
    """Return the error for a foreign one, and what to say of it."""
    if isinstance(exc, ksa_exc.HttpError):
        return _from_keystone(exc)
    if not isinstance(exc, glance_exc.HTTPException):
        name = type(exc).__name__
        return (
            exceptions.GlanceUnavailable,
            f'{name}: {glance_refusals.line(exc)}',
        )
    text = glance_refusals.line(exc.details)
    if exc.code in special:
        error, hint = special[exc.code](text)
    else:
        error, hint = glance_refusals.BY_STATUS.get(
            exc.code, glance_refusals.OUTAGE
        )
    code = str(exc.code)
    said = text if text.startswith(code) else f'{code}: {text}'
    said = f'Glance answered {said}'.removesuffix('.')
    return error, said + hint.format(policy=policy)


def _from_keystone(exc: Any) -> tuple[glance_refusals.Error, str]:
    """Return the error for one of Keystone.

    Only asking Keystone for a token raises these: what Glance answers is
    checked by glanceclient.
    """
    text = glance_refusals.line(exc.message)
    said = f'Keystone answered {exc.http_status}: {text}'
    if exc.http_status in (401, 403):
        hint = '; check the credentials in [glance]'
        return exceptions.AccessDenied, said + hint
    return exceptions.GlanceUnavailable, said
