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
"""Links that sites hang on, and taints that keep copies away."""

import pytest

from dcn_distributor.core import images
from dcn_distributor.core import links
from dcn_distributor.core import sites

# 2026-12-01 06:00 UTC
END_S = 1_796_104_800.0


def test_a_site_has_a_link_of_its_own_if_none_is_told():
    name = sites.SiteName('dcn0')

    site = sites.Site(name, images.StoreId('store'), {})

    assert site.link == links.Link('dcn0', 10.0, None, None, ())
    assert site.taints == ()


def test_sites_may_share_a_link():
    north = links.Link('north')

    one, other = (
        sites.Site(sites.SiteName(name), images.StoreId(name), {}, None, north)
        for name in ('dcn0', 'dcn1')
    )

    assert one.link is other.link


def test_central_has_a_link_that_costs_what_it_costs():
    all_sites = sites.Sites(images.StoreId('c'), (), central_cost=7)

    [central] = all_sites.everywhere

    assert central.link == links.Link('central', 7)


@pytest.mark.parametrize(
    ('until_s', 'now', 'expected'),
    [
        (None, END_S, True),
        (END_S, END_S - 0.001, True),
        (END_S, END_S, False),
    ],
)
def test_a_taint_is_void_from_its_end_on(until_s, now, expected):
    taint = links.Taint('maintenance', links.Effect.NO_NEW, until_s)

    assert taint.is_active(now) is expected


@pytest.mark.parametrize(
    ('until_s', 'expected'),
    [
        (END_S, 'tainted maintenance until 2026-12-01 06:00 UTC'),
        (None, 'tainted maintenance'),
    ],
)
def test_a_taint_says_what_a_copy_waits_for(until_s, expected):
    assert (
        str(links.Taint('maintenance', links.Effect.DRAIN, until_s))
        == expected
    )
