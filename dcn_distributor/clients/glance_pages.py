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
"""Read a list of images, page by page, while others delete them."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from dcn_distributor import exceptions
from dcn_distributor.clients import glance_refusals

Query = Mapping[str, str]
Page = Sequence[Mapping[str, Any]]


def read(
    read_page: Callable[[Query], tuple[Page, bool]], query: Query
) -> Iterator[Mapping[str, Any]]:
    """Read the images of a query, oldest first.

    The image that a page ended with may be deleted before the next page is
    asked for by its id, and Glance then refuses (unless to an admin). The
    list goes on by time, from the second in which that image was created and
    less what was in the last page: an image may come twice, but none is left
    out.

    :param read_page: reads one page and says whether more follow; raises
        MarkerGone.
    """
    where: dict[str, str] = {}
    page: Page = ()
    while True:
        seen = frozenset(raw.get('id') for raw in page)
        try:
            page, more = read_page({**query, **where})
        except glance_refusals.MarkerGone:
            where = {'created_at': f'gte:{page[-1].get("created_at")}'}
            continue
        yield from (raw for raw in page if raw.get('id') not in seen)
        if not more:
            return
        marker = str(page[-1].get('id'))
        if marker == where.get('marker'):
            raise exceptions.GlanceUnavailable(
                'cannot list the images: Glance repeats the page that '
                f'ends with image {glance_refusals.line(marker)}'
            )
        where = {**where, 'marker': marker}
