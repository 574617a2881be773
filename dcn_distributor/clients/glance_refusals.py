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
"""What Glance refuses, as errors of ours, and what we refuse to ask.

The status alone does not always tell, so Glance's words are read too. Paths
named ``glance:`` are those of Glance 33.0.0; 25.1.0 says the same.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
import html
import re

from dcn_distributor import exceptions

# Glance's own stores (staging, tasks) and properties begin with this.
RESERVED = 'os_glance_'

# glance: schema of the id in api/v2/images.py get_base_properties. Anything
# else cannot be an image, and "..", "" or "a?b" would be another request.
_UUID = re.compile(r'[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}')

# A message is for one line of a log or of a table.
_MESSAGE_LENGTH = 500


class MarkerGone(exceptions.TemporaryError):
    """The image after which a page should begin is gone."""


class NothingTold(exceptions.PermanentError):
    """Glance does not have this call, or not for us."""


Error = type[exceptions.DistributorError]
Special = Mapping[int, Callable[[str], tuple[Error, str]]]

OUTAGE: tuple[Error, str] = (exceptions.GlanceUnavailable, '')
BY_STATUS: Mapping[object, tuple[Error, str]] = {
    401: (
        exceptions.AccessDenied,
        '; check the credentials in [glance] and those of Glance itself',
    ),
    403: (
        exceptions.AccessDenied,
        '; check the roles of the agent\'s user and the rule "{policy}" of '
        "Glance's policy",
    ),
    404: (exceptions.ImageNotFound, ''),
    # A quota of the agent's own project (glance: quota/keystone.py
    # enforce_image_size_total), which may be raised or become free without
    # a change of the image: so no permanent error.
    413: (
        exceptions.TemporaryError,
        "; check the quota image_size_total of the agent's project",
    ),
}
_IMPORT_METHODS = '; add copy-image to enabled_import_methods of Glance'


def _refused(text: str) -> tuple[Error, str]:
    """Return the error for a 400 to an import.

    glance: api/v2/images.py import_image and _validate_import_body.
    """
    if 'already present' in text:
        return exceptions.AlreadyPresent, ''
    if 'Unknown import method' in text:
        return exceptions.ImportDisabled, _IMPORT_METHODS
    if 'enabled_backends' in text:
        return exceptions.StoreUnknown, '; Glance has just one store'
    return exceptions.NotCopyable, ''


def _conflict(text: str) -> tuple[Error, str]:
    """Return the error for a 409 to an import.

    glance: api/v2/images.py import_image; for a store, glance_store:
    multi_backend.py get_store_from_store_identifier. Two texts tell of the
    lock: held when the request came, or lost to one that came with it. A
    text unknown to us is taken for a passing conflict too.
    """
    if 'Store for identifier' in text or 'Unknown scheme' in text:
        return exceptions.StoreUnknown, ''
    if 'status active' in text or 'needs to be set' in text:
        return exceptions.NotCopyable, ''
    return exceptions.ImportInProgress, ''


def _no_import(_text: str) -> tuple[Error, str]:
    """Return the error where the call itself is not there."""
    return exceptions.ImportDisabled, _IMPORT_METHODS


def _one_store(_text: str) -> tuple[Error, str]:
    """Return the error for a Glance without enabled_backends."""
    return exceptions.StoreUnknown, '; set enabled_backends in Glance'


FOR_IMPORTS: Special = {
    400: _refused,
    405: _no_import,
    409: _conflict,
    501: _no_import,
}


def _marker_gone(_text: str) -> tuple[Error, str]:
    """Return the error for a page after an image that is gone."""
    return MarkerGone, ''


def _no_list(_text: str) -> tuple[Error, str]:
    """Return the error where there should be a list, full or empty."""
    return exceptions.GlanceUnavailable, '; is the endpoint right?'


FOR_LISTS: Special = {404: _no_list}
FOR_PAGES: Special = {400: _marker_gone, 404: _no_list}
FOR_STORES: Special = {404: _one_store}


def _nothing_told(_text: str) -> tuple[Error, str]:
    """Return the error for what is a bonus where it is there."""
    return NothingTold, ''


FOR_DETAILS: Special = {403: _nothing_told, 404: _nothing_told}


def _bad_location(text: str) -> tuple[Error, str]:
    """Return the error for a 400 to a new location.

    glance: location.py StoreLocations.insert and _check_location_uri, which
    does not say what is wrong. A cluster that does not answer is a 500.
    """
    if 'already exists' in text:
        return exceptions.AlreadyPresent, ''
    return exceptions.StoreUnknown, (
        '; the API host must have this store among its enabled_backends, '
        'reach its cluster, and find the image with its snapshot there'
    )


def _forbidden_location(text: str) -> tuple[Error, str]:
    """Return the error for a 403 to a new location.

    glance: api/v2/images.py _do_add_locations; db/sqlalchemy/api.py
    _check_mutate_authorization, which asks for the owner or an admin after
    the policy has allowed it.
    """
    if 'invisible' in text:
        hint = '; set show_multiple_locations in Glance'
    elif 'own' in text:
        hint = (
            "; check the roles of the agent's user and the rule "
            '"context_is_admin" of Glance\'s policy'
        )
    else:
        return BY_STATUS[403]
    return exceptions.AccessDenied, hint


def _inactive(_text: str) -> tuple[Error, str]:
    """Return the error for a 409 to a new location (_do_add_locations)."""
    return exceptions.NotCopyable, ''


def _too_many_locations(text: str) -> tuple[Error, str]:
    """Return the error for a 413 to a new location (glance: quota).

    What is not about their number is about their size.
    """
    if 'number of allowed image locations' in text:
        hint = '; raise image_location_quota of Glance, -1 means any number'
        return exceptions.LocationQuotaExceeded, hint
    return exceptions.StoreFull, '; check user_storage_quota of Glance'


FOR_LOCATIONS: Special = {
    400: _bad_location,
    403: _forbidden_location,
    409: _inactive,
    413: _too_many_locations,
}


def check_id(image_id: str) -> None:
    """Refuse without asking what cannot be the id of an image."""
    if not _UUID.fullmatch(image_id):
        raise exceptions.ImageNotFound(
            f'no image {line(image_id)!r}: an image id is a UUID'
        )


def check_not_reserved(stores: Iterable[str]) -> None:
    """Refuse Glance's internal stores, which an import would accept.

    glance_store: multi_backend.py get_store_from_store_identifier looks
    among the reserved stores too.
    """
    for store in stores:
        if store.startswith(RESERVED):
            raise exceptions.StoreUnknown(
                f"store {line(store)} is one of Glance's own"
            )


def line(text: object) -> str:
    """Return a text of others on one line, without markup, safe to print."""
    plain = html.unescape(
        re.sub(r'<[^<>]*>', ' ', '' if text is None else str(text))
    )
    short = ' '.join(plain.split())[:_MESSAGE_LENGTH]
    return ''.join(
        char if char.isprintable() else ascii(char)[1:-1] for char in short
    )
