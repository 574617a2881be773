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
"""Reads sites.yaml and placement.yaml, for commands that judge drafts."""

from dcn_distributor import exceptions
from dcn_distributor.core import policies


def load(
    sites_file: str, placement_file: str
) -> tuple[policies.PolicySet, tuple[str, ...]]:
    """Load both files, with the doubts about the first.

    Raises ConfigError: a broken one does not hide the other's problems.
    """
    # pydantic and ruamel.yaml take a third of the time of --help.
    from dcn_distributor.conf import clouds
    from dcn_distributor.conf import placement
    from dcn_distributor.conf import sites

    try:
        all_sites, doubts = sites.inspect(sites_file)
        clouds.check(sites_file)
    except exceptions.ConfigError as exc:
        problems = exc.problems
    else:
        return placement.load(placement_file, all_sites), doubts
    try:
        placement.check(placement_file)
    except exceptions.ConfigError as exc:
        problems += exc.problems
    raise exceptions.ConfigError(*problems)
