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
"""How fast the policies decide: 10,000 images x 200 sites x 50 policies.

Run: ``python benchmarks/policy_evaluation.py``. One core, no network. The
policies use every kind of condition; the images are made from a fixed seed.
Prints the time for all images, the 50th and 99th percentile for one image
(with nothing remembered of earlier ones, too), and the memory it takes. The
times are of the processor, so that others on the machine do not count.
"""

import gc
import platform
import random
import resource
import time
import tracemalloc

from dcn_distributor.core import globs
from dcn_distributor.core import images
from dcn_distributor.core import matching
from dcn_distributor.core import policies
from dcn_distributor.core import selectors
from dcn_distributor.core import sites
from dcn_distributor.core import sizes

IMAGES = 10_000
SITES = 200
POLICIES = 50
REGIONS = ('north', 'south', 'east', 'west')
TIERS = ('edge', 'far-edge', 'core')
FAMILIES = ('rhel-8', 'rhel-9', 'ubuntu-22.04', 'ubuntu-24.04', 'debian-12')
TAGS = ('golden', 'deprecated', 'signed', 'gpu', 'test')
OWNERS = tuple(f'{n:032x}' for n in range(40))


def make_sites(rng: random.Random) -> sites.Sites:
    """Make sites with labels for region, tier and rack."""
    return sites.Sites(
        images.StoreId('central'),
        tuple(
            sites.Site(
                sites.SiteName(f'dcn-{n:03}'),
                images.StoreId(f'dcn-{n:03}'),
                {
                    'region': rng.choice(REGIONS),
                    'tier': rng.choice(TIERS),
                    'rack': str(n % 10),
                },
            )
            for n in range(SITES)
        ),
    )


def make_image(rng: random.Random, number: int) -> images.Image:
    """Make an image such as a cloud has: many snapshots, some releases."""
    family = rng.choice(FAMILIES)
    return images.Image(
        id=images.ImageId(f'{number:08x}-0000-4000-8000-000000000000'),
        name=f'{family}-x86_64-{rng.randrange(10_000)}',
        status=images.ACTIVE,
        visibility=rng.choice(('public', 'private', 'shared', 'private')),
        owner=rng.choice(OWNERS),
        tags=frozenset(rng.sample(TAGS, rng.randrange(3))),
        properties={
            'os_distro': family.split('-')[0],
            'hw_disk_bus': rng.choice(('virtio', 'scsi')),
            **{f'key{n}': str(rng.randrange(9)) for n in range(8)},
        },
        disk_format=rng.choice(('raw', 'qcow2')),
        container_format='bare',
        size_bytes=rng.choice((None, rng.randrange(100 << 30))),
        is_hidden=rng.random() < 0.1,
        is_protected=rng.random() < 0.2,
        stores=frozenset((images.StoreId('central'),)),
    )


def make_condition(rng: random.Random, kind: int) -> matching.Condition:
    """Make a condition; `kind` is its place in the list below."""
    family = rng.choice(FAMILIES)
    makers = (
        lambda: matching.OneOf('visibility', ('public', 'shared')),
        lambda: matching.Flag('hidden', False),
        lambda: matching.Flag('protected', rng.random() < 0.5),
        lambda: matching.OneOf('disk_format', ('raw', 'qcow2')),
        lambda: matching.OneOf('owner', tuple(rng.sample(OWNERS, 8))),
        lambda: matching.Tags(frozenset(rng.sample(TAGS, 1))),
        lambda: matching.Property('os_distro', ('rhel', 'debian')),
        lambda: matching.Property(f'key{rng.randrange(8)}'),
        lambda: matching.Size(sizes.parse('>1GiB, <=40GiB')),
        lambda: matching.Name(
            (
                globs.parse(f'{family}-*'),
                globs.parse('ubuntu-{22,24}.04*-{1..9}??'),
                globs.parse('*-x86_64-*7'),
            )
        ),
        lambda: matching.Any(
            (
                matching.Block((make_condition(rng, 0),)),
                matching.Block((make_condition(rng, 5),)),
            )
        ),
        lambda: matching.Not(matching.Block((make_condition(rng, 5),))),
    )
    return makers[kind]()


def make_policy(rng: random.Random, number: int) -> policies.Policy:
    """Make a policy of one to four conditions, cheapest first."""
    kinds = sorted(rng.sample(range(12), rng.randrange(1, 5)))
    region = rng.choice(REGIONS)
    chosen = frozenset(
        sites.SiteName(f'dcn-{n:03}') for n in rng.sample(range(SITES), 20)
    )
    selections: tuple[policies.Selection, ...] = (
        policies.AllSites(),
        policies.NamedSites(chosen),
        policies.LabelledSites(
            selectors.parse(f'tier in (edge, far-edge), region != {region}')
        ),
    )
    return policies.Policy(
        f'policy-{number:02}',
        matching.Block(tuple(make_condition(rng, kind) for kind in kinds)),
        rng.choice(selections),
        exclude=frozenset((sites.SiteName('dcn-007'),)),
        deny=number % 10 == 0,
        priority=rng.randrange(5),
    )


def percentile(seconds: list[float], percent: int) -> str:
    """Return a percentile in milliseconds."""
    value = sorted(seconds)[len(seconds) * percent // 100]
    return f'{value * 1000:.3f} ms'


def time_each(
    policy_set: policies.PolicySet, all_images: list[images.Image]
) -> list[float]:
    """Decide for each image; return how many seconds each took."""
    seconds = []
    for image in all_images:
        begun = time.thread_time()
        policy_set.decide(image)
        seconds.append(time.thread_time() - begun)
    return seconds


def main() -> None:
    """Measure, and print the figures."""
    rng = random.Random(1)
    all_sites = make_sites(rng)
    all_policies = [make_policy(rng, n) for n in range(POLICIES)]
    all_images = [make_image(rng, n) for n in range(IMAGES)]
    policy_set = policies.PolicySet(all_policies, all_sites)

    begun = time.thread_time()
    wanted = 0
    for image in all_images:
        for decision in policy_set.decide(image).by_site:
            wanted += decision.wanted
    total = time.thread_time() - begun

    warm = time_each(policy_set, all_images)
    cold = []
    for image in all_images[:500]:
        fresh = policies.PolicySet(all_policies, all_sites)
        gc.collect()
        cold += time_each(fresh, [image])
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    tracemalloc.start()
    policy_set = policies.PolicySet(all_policies, all_sites)
    time_each(policy_set, all_images)
    peak = tracemalloc.get_traced_memory()[1]

    print(
        f'{platform.processor() or platform.machine()}, '
        f'Python {platform.python_version()}'
    )
    print(
        f'{IMAGES} images x {SITES} sites x {POLICIES} policies: '
        f'{wanted} copies wanted'
    )
    print(f'all images, every decision read: {total:.2f} s')
    print(f'one image: p50 {percentile(warm, 50)}, p99 {percentile(warm, 99)}')
    print(
        f'one image, nothing remembered: p50 {percentile(cold, 50)}, '
        f'p99 {percentile(cold, 99)}'
    )
    print(
        f'memory of the policies and what they remember: '
        f'{peak / 1048576:.1f} MiB'
    )
    print(f'peak of the process, images included: {resident / 1024:.0f} MiB')


if __name__ == '__main__':
    main()
