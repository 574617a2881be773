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
"""Images, sites and policies for the tests of the policies."""

import string

from hypothesis import strategies as st

from dcn_distributor.core import globs
from dcn_distributor.core import images
from dcn_distributor.core import matching
from dcn_distributor.core import policies
from dcn_distributor.core import selectors
from dcn_distributor.core import sites
from dcn_distributor.core import sizes
from dcn_distributor.core import transfers
from dcn_distributor.core import wishing
from tests.fakes import images as fake_images


def site(name, **labels):
    """A site whose store is called as the site is."""
    return sites.Site(sites.SiteName(name), images.StoreId(name), labels)


SITES = sites.Sites(
    images.StoreId('central'),
    (
        site('dcn0', tier='edge', region='north'),
        site('dcn1', tier='far-edge', region='south'),
        site('dcn2', tier='far-edge'),
    ),
)


def policy(name, *conditions, where='all', **attributes):
    """A policy; `where` is all, a selector, or names in a tuple."""
    if isinstance(where, tuple):
        selection = policies.NamedSites(frozenset(where))
    elif where == 'all':
        selection = policies.AllSites()
    else:
        selection = policies.LabelledSites(selectors.parse(where))
    attributes['exclude'] = frozenset(attributes.get('exclude', ()))
    return policies.Policy(
        name, matching.Block(conditions), selection, **attributes
    )


_few = {'max_size': 2}
_letters = st.sampled_from('abc')
_conditions = st.one_of(
    st.builds(
        matching.OneOf,
        st.sampled_from(
            ['visibility', 'owner', 'disk_format', 'container_format']
        ),
        st.lists(st.sampled_from(['public', 'a', 'raw']), min_size=1).map(
            tuple
        ),
    ),
    st.builds(
        matching.Flag, st.sampled_from(['hidden', 'protected']), st.booleans()
    ),
    st.builds(
        matching.Name,
        st.sampled_from(['*', 'a*', '?', '{a,b}*', '[!a]*', 'abc']).map(
            lambda written: (globs.parse(written),)
        ),
    ),
    st.builds(matching.Tags, st.frozensets(_letters, min_size=1)),
    st.builds(
        matching.Property, _letters, st.lists(_letters, **_few).map(tuple)
    ),
    st.builds(
        matching.Size,
        st.sampled_from(['<1GiB', '>=1GiB', '>0, <=5', '=0']).map(sizes.parse),
    ),
)
BLOCKS = st.recursive(
    st.lists(_conditions, **_few).map(lambda c: matching.Block(tuple(c))),
    lambda blocks: st.one_of(
        blocks.map(lambda b: matching.Block((matching.Not(b),))),
        st.lists(blocks, min_size=1, max_size=3).map(
            lambda b: matching.Block((matching.Any(tuple(b)),))
        ),
    ),
    max_leaves=4,
)
IMAGES = st.builds(
    fake_images.image,
    name=st.text(string.printable + 'ø\u202e', max_size=4),
    visibility=st.sampled_from(['public', 'private']),
    owner=_letters,
    tags=st.frozensets(_letters),
    properties=st.dictionaries(_letters, _letters, max_size=3),
    disk_format=st.sampled_from(['raw', 'qcow2', None]),
    container_format=st.sampled_from(['bare', None]),
    size_bytes=st.sampled_from([None, 0, 5, 2**30, 2**31]),
    is_hidden=st.booleans(),
    is_protected=st.booleans(),
)
_SITE_NAMES = [s.name for s in SITES]
_SELECTIONS = st.one_of(
    st.just(policies.AllSites()),
    st.frozensets(st.sampled_from(_SITE_NAMES), min_size=1).map(
        policies.NamedSites
    ),
    st.sampled_from(['tier=edge', 'region!=north', '!region', 'tier']).map(
        lambda written: policies.LabelledSites(selectors.parse(written))
    ),
)
WISHES = st.just(transfers.NO_WISHES) | st.builds(
    transfers.Wishes,
    engine=st.none() | st.sampled_from(transfers.EngineChoice),
    source=st.none() | st.sampled_from(transfers.SourceChoice),
    verify=st.none() | st.sampled_from(transfers.Verify),
    rate_bytes_s=st.none() | st.sampled_from([1e6, 2e6]),
)
TOLERATED = st.frozensets(st.sampled_from(['maintenance', 'moving']))
DEADLINES = st.none() | st.sampled_from([60.0, 3600.0])
TERMS = st.just(wishing.NO_TERMS) | st.builds(
    wishing.Terms, WISHES, TOLERATED, DEADLINES
)


def policies_named(names, deny=None):
    """Strategy for a policy with one of these names."""
    return st.builds(
        policies.Policy,
        name=st.sampled_from(names),
        match=BLOCKS,
        selection=_SELECTIONS,
        exclude=st.frozensets(st.sampled_from(_SITE_NAMES), max_size=1),
        deny=st.booleans() if deny is None else st.just(deny),
        priority=st.integers(-1, 1),
        wishes=WISHES,
        tolerates=TOLERATED,
        deadline_s=DEADLINES,
    )


POLICIES = st.lists(
    policies_named(list('pqrst')), max_size=5, unique_by=lambda p: p.name
)
