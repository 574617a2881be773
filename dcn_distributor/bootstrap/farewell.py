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
"""What has to be done, in order, before a site is no more."""

from collections.abc import Iterator

from dcn_distributor.core import grants
from dcn_distributor.core import procedures
from dcn_distributor.core import stacks


def order(
    cloud: stacks.Cloud, site: stacks.Site
) -> tuple[procedures.Step, ...]:
    """List the steps; those with a command line can be run as they stand.

    Copies go first, by Glance, so that no location leads to a store that is
    gone: Glance can then neither read nor delete the image.
    """
    steps = [
        _by_hand(
            site,
            'policies',
            'let placement.yaml send no more images there, and the agent '
            'read it again (SIGHUP)',
        )
    ]
    if site.has_store:
        steps += [*_store(site), *_keys(cloud, site)]
    steps += [
        procedures.Step(
            f'delete {stack.name}',
            site.name,
            stack.name,
            ('openstack', 'overcloud', 'delete', '--yes', stack.name),
            (),
            'its machines are free again',
        )
        for stack in site.stacks
    ]
    return tuple(steps)


def _store(site: stacks.Site) -> Iterator[procedures.Step]:
    yield _by_hand(
        site,
        'copies',
        'remove its copies by Glance: glance stores-delete --store '
        f'{site.store} IMAGE, for every image that has one there; an image '
        'that is only there is copied elsewhere first',
    )
    yield _by_hand(
        site,
        'central',
        f'keep sites.yaml as sites.yaml.before, take {site.name} out of it, '
        "then 'bootstrap apply': "
        "central's Glance forgets its store",
    )


def _keys(cloud: stacks.Cloud, site: stacks.Site) -> Iterator[procedures.Step]:
    bootstrap = ('dcn-distributor', 'bootstrap')
    yield _step(
        site,
        'keys',
        (
            *(*bootstrap, 'remove', site.name),
            *('--sites', 'sites.yaml.before', '--apply'),
        ),
        'its keys are revoked and forgotten',
    )
    for grant in grants.held_by(cloud, site):
        if grant.site != site.name:
            at = ('--site', grant.site, '--apply')
            yield _step(
                site,
                f'rotate {grant.entity} of {grant.site}',
                (*bootstrap, 'keys', 'rotate', grant.entity, *at),
                f'hosts of {site.name} know this secret, and others need it',
            )


def _by_hand(site: stacks.Site, name: str, why: str) -> procedures.Step:
    return _step(site, name, (), why)


def _step(
    site: stacks.Site, name: str, argv: tuple[str, ...], why: str
) -> procedures.Step:
    return procedures.Step(name, site.name, None, argv, (), why)
