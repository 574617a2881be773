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
"""Shares modules of tests out, so that each part takes about as long."""

from collections.abc import Collection

# How long modules took, in seconds. What is not here is taken for a minute;
# a figure that is out of date costs time, and no test.
SECONDS = {
    'test_topologies': 290,
    'test_stream_survival': 230,
    'test_chaos': 220,
    'test_survival': 190,
    'test_bootstrap': 180,
    'test_container': 150,
    'test_stream_commands': 140,
    'test_fellows': 130,
    'test_failover': 130,
    'test_distribution': 90,
    'test_stream_choice': 70,
    'test_stream_races': 70,
    'test_streams': 50,
    'test_client_plugin': 45,
    'test_devstack': 40,
    'test_bus': 35,
    'test_announcements': 30,
    'test_watched': 30,
    'test_bootstrap_cache': 20,
    'test_link_rates': 20,
    'test_supervised': 15,
}


def share(modules: Collection[str], count: int) -> list[set[str]]:
    """Put each module into one of `count` parts, the longest ones first."""
    parts: list[set[str]] = [set() for _ in range(count)]
    taken = [0] * count
    for module in sorted(modules, key=lambda m: (-SECONDS.get(m, 60), m)):
        least = taken.index(min(taken))
        parts[least].add(module)
        taken[least] += SECONDS.get(module, 60)
    return parts
