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
"""The operator's rules in force: sites, policies, and Glance's stores."""

from collections.abc import Callable
import dataclasses
import threading

from oslo_log import log

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import policies as core_policies
from dcn_distributor.core import sites as core_sites

LOG = log.getLogger(__name__)


# What sites.yaml and placement.yaml hold.
Files = tuple[core_sites.Sites, core_policies.PolicySet]


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """What decisions are made by, whole and unchangeable.

    `known_stores` is None before Glance was first asked. `generation` grows
    with each change, and sets free what had failed for good under the past.
    """

    sites: core_sites.Sites
    policies: core_policies.PolicySet
    known_stores: frozenset[images.StoreId] | None = None
    generation: int = 0

    def unknown_stores(self) -> tuple[core_sites.Site, ...]:
        """The sites whose store Glance does not have."""
        if self.known_stores is None:
            return ()
        return tuple(s for s in self.sites if s.store not in self.known_stores)


class RuleBook:
    """Holds the rules in force, and replaces them whole or not at all.

    :param read: reads both files; raises ConfigError
    :param first: what they held when they were last in order: an agent that
        is started anew must not stumble over a file that is broken by now
    """

    def __init__(self, read: Callable[[], Files], first: Files) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._rules = _checked(first)
        self._load_errors = 0
        self._is_refused = False

    @property
    def rules(self) -> Rules:
        """The rules in force."""
        with self._lock:
            return self._rules

    @property
    def load_errors(self) -> int:
        """How often changed files were refused."""
        return self._load_errors

    @property
    def is_refused(self) -> bool:
        """Whether the files, when they were last read, were refused."""
        return self._is_refused

    def reload(self) -> bool:
        """Read both files again; keep the old rules if they are broken."""
        try:
            fresh = _checked(self._read())
        except exceptions.ConfigError as exc:
            self._load_errors += 1
            self._is_refused = True
            LOG.error(
                'The changed files are refused and the old rules stay in '
                'force: %s',
                '; '.join(exc.problems),
            )
            return False
        with self._lock:
            self._rules = dataclasses.replace(
                fresh,
                known_stores=self._rules.known_stores,
                generation=self._rules.generation + 1,
            )
            self._is_refused = False
        self._warn_of_unknown_stores()
        return True

    def set_known_stores(self, stores: frozenset[images.StoreId]) -> None:
        """Note which stores Glance has."""
        with self._lock:
            if stores == self._rules.known_stores:
                return
            self._rules = dataclasses.replace(
                self._rules,
                known_stores=stores,
                generation=self._rules.generation + 1,
            )
        self._warn_of_unknown_stores()

    def start_anew(self) -> None:
        """Have all that failed for good under these rules tried again."""
        with self._lock:
            self._rules = dataclasses.replace(
                self._rules, generation=self._rules.generation + 1
            )

    def _warn_of_unknown_stores(self) -> None:
        rules = self.rules
        for site in rules.unknown_stores():
            LOG.warning(
                'Site %(site)s gets no copies: Glance has no store '
                '%(store)s. It has: %(known)s. Correct sites.yaml, or add '
                "the store to Glance's enabled_backends.",
                {
                    'site': site.name,
                    'store': site.store,
                    'known': ', '.join(sorted(rules.known_stores or ())),
                },
            )


def _checked(files: Files) -> Rules:
    """Make rules of the files, and warn of what is odd in them."""
    read_sites, read_policies = files
    for warning in read_policies.warnings():
        LOG.warning('%s', warning)
    return Rules(read_sites, read_policies)
