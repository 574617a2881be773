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
"""Tells of each placement that changed to whoever wants to hear of it."""

from collections.abc import Callable
from collections.abc import Sequence

from dcn_distributor.core import images
from dcn_distributor.core import sites
from dcn_distributor.core import transitions
from dcn_distributor.service import rules as rule_books

# What is known of an image's stream to a store.
Traffic = Callable[[images.ImageId, images.StoreId], transitions.Traffic]


class Herald:
    """See the module."""

    def __init__(
        self,
        rule_book: rule_books.RuleBook,
        traffic: Traffic,
        hearers: Sequence[transitions.Hearer],
    ) -> None:
        self._rule_book = rule_book
        self._traffic = traffic
        self._hearers = hearers

    def changed(
        self,
        image: images.Image,
        site: sites.Site | None,
        transition: transitions.Transition,
    ) -> None:
        """Tell all of a placement that changed; see transitions.Event."""
        store = transition.store
        event = transitions.Event(
            transition,
            image,
            site,
            _policy(self._rule_book.rules, image, store),
            self._traffic(image.id, store),
        )
        for hear in self._hearers:
            hear(event)


def _policy(
    rules: rule_books.Rules, image: images.Image, store: images.StoreId
) -> str | None:
    for decision in rules.policies.decide(image).by_site:
        if decision.site.store == store:
            return decision.policy
    return None
