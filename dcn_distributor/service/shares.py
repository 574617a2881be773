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
"""What is an agent's own among several, and whose the rest is, to be told."""

from collections.abc import Callable
from typing import Any

from dcn_distributor.core import images
from dcn_distributor.core import links as all_links
from dcn_distributor.core import pauses
from dcn_distributor.service import parts as all_parts


def owned(parts: all_parts.Parts) -> Callable[[images.StoreId], bool]:
    """Make what tells whether a store is this agent's, as of this moment."""
    others = parts.gatekeeper.others()
    return lambda store: store not in others


def own_links(parts: all_parts.Parts) -> list[all_links.Link]:
    """Give the links that are this agent's."""
    return [
        link
        for link in {site.link for site in parts.rule_book.rules.sites}
        if parts.gatekeeper.is_ours(link.name)
    ]


def roster(parts: all_parts.Parts) -> dict[str, Any]:
    """Tell of all agents, and who has which site."""
    group = parts.group
    return {
        'members': list(group.members()),
        'problem': group.problem(),
        'sites': {
            site.name: {
                'link': site.link.name,
                'owner': group.owner(site.link.name),
            }
            for site in parts.rule_book.rules.sites
        },
    }


def links(parts: all_parts.Parts) -> dict[str, dict[str, Any]]:
    """Tell what copies wait for on the links that are this agent's."""
    return {
        link.name: {'waits': parts.ledger.link_waits(link.name)}
        for link in own_links(parts)
    }


def words(parts: all_parts.Parts) -> list[dict[str, object]]:
    """Tell the last words of operators.

    Those to go on are among them: another agent may not have heard yet.
    """
    return [pauses.plain(word) for word in parts.pause_book.words]
