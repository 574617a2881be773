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
"""The topologies that come as samples, as values."""

from collections.abc import Mapping
import dataclasses
import functools
from pathlib import Path

import pytest

from dcn_distributor.conf import clouds
from dcn_distributor.core import cephx
from dcn_distributor.core import grants
from dcn_distributor.core import rings
from dcn_distributor.core import stacks

TOP = Path(__file__).resolve().parent.parent.parent.parent
TOPOLOGIES = ('multi-ceph', 'external-ceph', 'glance-cache')
_NOW_S = 1_600_000_000


def sample(topology: str) -> Path:
    """Where a sample of sites.yaml is."""
    name = f'sites-{topology}.yaml.sample'
    return TOP / 'etc' / 'dcn_distributor' / name


@functools.cache
def load(topology: str) -> stacks.Cloud:
    """Read a sample."""
    return clouds.load(str(sample(topology)))


def secret(word: str) -> cephx.Secret:
    """Make a secret that is the same each time."""
    key = word.encode().ljust(16, b'.')[-16:]
    return cephx.make_secret(cephx.KeyType.AES, key, _NOW_S)


def ring_for(cloud: stacks.Cloud) -> rings.Ring:
    """Issue all that a cloud wants."""
    ring = rings.Ring()
    for grant in grants.wanted(cloud):
        entity = cephx.Entity(
            grant.entity, secret(f'{grant.site}/{grant.user}'), grant.caps
        )
        known = ring.of(grant.site).with_entity(entity)
        ring = ring.replacing(grant.site, known)
    return ring


def rotated(ring: rings.Ring, cloud: stacks.Cloud, name: str) -> rings.Ring:
    """Give it after the key of Glance in a site's cluster was rotated."""
    site = cloud.site(name)
    old = rings.user_of(cloud, ring, site)
    new = cephx.Entity(f'{old.name}-r1', secret(f'{name}/r1'), old.caps)
    known = ring.of(site.name).with_entity(new, old.name)
    retiring = {old.name: (old,)}
    return ring.replacing(
        site.name, dataclasses.replace(known, retiring=retiring)
    )


def with_site(
    cloud: stacks.Cloud, name: str, **changes: object
) -> stacks.Cloud:
    """Give a cloud in which one site is otherwise."""
    changed: Mapping[str, object] = changes
    return dataclasses.replace(
        cloud,
        sites=tuple(
            dataclasses.replace(site, **changed)  # type: ignore[arg-type]
            if site.name == name
            else site
            for site in cloud.sites
        ),
    )


topologies = pytest.mark.parametrize('topology', TOPOLOGIES)
