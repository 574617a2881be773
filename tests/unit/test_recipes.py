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
"""Each recipe of the documentation does what its heading says."""

from pathlib import Path
import re
import textwrap

import pytest

from dcn_distributor.conf import placement
from dcn_distributor.conf import sites
from dcn_distributor.core import windows
from tests.fakes import images

TOP = Path(__file__).resolve().parent.parent.parent
PAGE = TOP / 'doc' / 'source' / 'recipes.rst'
SITES = TOP / 'etc' / 'dcn_distributor' / 'sites.yaml.sample'

HEADING = re.compile(r'^(.+)\n(~+)\n', re.MULTILINE)
BLOCK = re.compile(
    r'^\.\. code-block:: yaml\n\n((?:   .*\n|\n)+)', re.MULTILINE
)

ALL = ['dcn0', 'dcn1']
GIB = 2**30

# By heading: images, each with the sites that should hold it.
EXPECTED = {
    'All public images to all sites': [
        ({}, ALL),
        ({'visibility': 'private'}, []),
    ],
    'Golden images first': [({}, ALL), ({'tags': {'golden'}}, ALL)],
    'By name': [
        ({'name': 'rhel-9-base'}, ALL),
        ({'name': 'ubuntu-22.04-minimal'}, ALL),
        ({'name': 'ubuntu-20.04'}, []),
    ],
    'By property': [
        ({'properties': {'os_distro': 'rhel', 'img_signature': 'x'}}, ALL),
        ({'properties': {'os_distro': 'rhel'}}, []),
    ],
    'Let the owner of an image choose': [
        ({'properties': {'dcn_sites': 'all'}}, ALL),
        ({}, []),
    ],
    "One project's images, where it works": [
        (
            {
                'owner': '3f0c2a9d5b7e4c1f8a6d0e2b4c6f8a1d',
                'visibility': 'private',
            },
            ['dcn0'],
        ),
        ({}, []),
    ],
    'To sites with a label': [({}, ['dcn0'])],
    'To a canary first': [({}, ['dcn1']), ({'tags': {'released'}}, ALL)],
    'Only what can be cloned from, and not the very large': [
        ({'size_bytes': 40 * GIB}, ALL),
        ({'size_bytes': 41 * GIB}, []),
        ({'disk_format': 'qcow2'}, []),
    ],
    'All but what is on its way out': [
        ({}, ALL),
        ({'tags': {'deprecated'}}, []),
        ({'name': 'rhel-test'}, []),
        ({'is_hidden': True}, []),
    ],
    'Leave out a site': [({}, ['dcn0'])],
    'Data that may not leave a country': [
        ({}, ALL),
        ({'properties': {'export_control': 'yes'}}, ['dcn0']),
    ],
    'No snapshots of instances': [
        ({'visibility': 'private'}, ALL),
        ({'properties': {'image_type': 'snapshot'}}, []),
    ],
    'Security updates, also to sites in maintenance, within six hours': [
        ({'tags': {'security'}}, ALL),
    ],
    'Large images from cluster to cluster, and gently': [
        ({'size_bytes': 11 * GIB}, ALL),
    ],
    'A hub that the others read from': [({}, ALL)],
}


def recipes():
    """Read the page: the files below each heading, by the heading."""
    parts = HEADING.split(PAGE.read_text())[1:]
    return {
        heading: [textwrap.dedent(block) for block in BLOCK.findall(text)]
        for heading, text in zip(parts[::3], parts[2::3], strict=True)
    }


RECIPES = recipes()


def write(path, content):
    path.write_text(content)
    return str(path)


def load_sites(heading, tmp_path):
    """Load the sites.yaml of a recipe, or the sample if it has none."""
    for content in RECIPES[heading]:
        if 'central:' in content:
            return sites.load(write(tmp_path / 'sites.yaml', content))
    return sites.load(str(SITES))


def load_policies(heading, tmp_path):
    for content in RECIPES[heading]:
        if 'policies:' in content:
            path = write(tmp_path / 'placement.yaml', content)
            return placement.load(path, load_sites(heading, tmp_path))
    return None


def decide(heading, tmp_path, **attributes):
    return load_policies(heading, tmp_path).decide(images.image(**attributes))


@pytest.mark.parametrize('heading', RECIPES)
def test_every_recipe_can_be_loaded(heading, tmp_path):
    assert RECIPES[heading]

    assert len(load_sites(heading, tmp_path)) == len(ALL)
    policies = load_policies(heading, tmp_path)

    assert policies is None or policies.warnings() == ()


def test_the_first_recipe_is_one_line_below_the_version():
    first = next(iter(RECIPES.values()))

    assert len(first[0].strip().splitlines()) == 2


@pytest.mark.parametrize(
    ('heading', 'attributes', 'expected'),
    [
        pytest.param(heading, attributes, expected, id=f'{heading} {number}')
        for heading, cases in EXPECTED.items()
        for number, (attributes, expected) in enumerate(cases)
    ],
)
def test_the_sites_are_those_that_the_heading_tells(
    heading, attributes, expected, tmp_path
):
    decided = decide(heading, tmp_path, **attributes)

    assert [d.site.name for d in decided.wanted] == expected


def test_every_recipe_with_policies_is_decided_by():
    with_policies = {
        heading
        for heading, contents in RECIPES.items()
        if any('policies:' in content for content in contents)
    }

    assert with_policies == set(EXPECTED)


def test_golden_images_go_first(tmp_path):
    golden = decide('Golden images first', tmp_path, tags={'golden'})

    assert golden.priority > decide('Golden images first', tmp_path).priority


def test_security_updates_go_to_sites_in_maintenance(tmp_path):
    heading = (
        'Security updates, also to sites in maintenance, within six hours'
    )

    decided = decide(heading, tmp_path, tags={'security'})

    assert {d.tolerates for d in decided.by_site} == {
        frozenset({'maintenance'})
    }
    assert {d.deadline_s for d in decided.by_site} == {6 * 3600.0}


def test_large_images_go_gently(tmp_path):
    heading = 'Large images from cluster to cluster, and gently'

    wishes = decide(heading, tmp_path, size_bytes=11 * GIB).by_site[0].wishes

    assert wishes.engine.value == 'rbd-stream'
    assert wishes.rate_bytes_s == 25e6
    assert decide(heading, tmp_path).by_site[0].wishes.engine is None


def test_a_thin_link_is_closed_by_day_and_open_at_night(tmp_path):
    site = next(iter(load_sites('A thin link, used at night', tmp_path)))
    noon_s, midnight_s = 1764586800.0, 1764630000.0  # of a Monday, in Oslo

    assert not windows.is_open(site.link.windows, noon_s)
    assert windows.is_open(site.link.windows, midnight_s)


def test_a_site_in_maintenance_opens_by_itself(tmp_path):
    _, site = load_sites('A site in maintenance', tmp_path)
    end_s = site.taints[0].until_s

    assert site.taints[0].is_active(end_s - 1)
    assert not site.taints[0].is_active(end_s)


def test_the_hub_costs_least_to_read_from(tmp_path):
    heading = 'A hub that the others read from'

    cheapest = min(
        load_sites(heading, tmp_path).everywhere, key=lambda s: s.link.cost
    )

    assert cheapest.name == 'dcn0'
