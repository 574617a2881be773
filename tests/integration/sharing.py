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
    'test_topologies': 400,
    'test_container': 150,
    'test_chaos': 240,
    'test_failover': 150,
    'test_stream_survival': 250,
    'test_survival': 150,
    'test_bootstrap': 120,
    'test_bootstrap_cache': 60,
    'test_stream_commands': 120,
    'test_streams': 90,
    'test_distribution': 90,
    'test_bus': 60,
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
