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
"""Placement policies: which sites should hold an image, and why.

1. A policy matches an image if its match block holds.
2. A site is wanted if a matching policy selects it and does not exclude it,
   and no matching deny policy does so.
3. `exclude` takes away from its own policy only, `deny` from all.
4. Priority hides no policy's sites. It settles which of several policies a
   decision names, and whose turn it is when copies have to wait. Ties go by
   name; the order of the file means nothing.
5. What the policies that want a site wish of the way there adds up, too:
   each wish comes from the one of highest priority that has it. So does the
   deadline; the taints that they tolerate are those that any tolerates.

Nothing here asks whether the image can be copied, or already is.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
from typing import Protocol

from dcn_distributor.core import decisions
from dcn_distributor.core import explanations
from dcn_distributor.core import images
from dcn_distributor.core import matching
from dcn_distributor.core import selectors
from dcn_distributor.core import sites
from dcn_distributor.core import text
from dcn_distributor.core import transfers
from dcn_distributor.core import wishing

# How many sets of policies that matched together are remembered with their
# decisions: 1.6 KiB each for 200 sites.
_REMEMBERED = 1024

# How many combinations of a policy and terms are remembered with their
# decisions, which those sets share: up to 40 KiB each for 200 sites.
_REMEMBERED_TERMS = 256

# How many sets of paused policies the rest is remembered for.
_REMEMBERED_PARTS = 2

_LONGEST_CONDITION = 160


class Selection(Protocol):
    """Which sites a policy is about."""

    def selects(self, site: sites.Site) -> bool:
        """Tell whether it is about this one."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class AllSites:
    """Every site of sites.yaml."""

    def selects(self, site: sites.Site) -> bool:
        """Select every site."""
        return True

    def __str__(self) -> str:
        return 'all'


@dataclasses.dataclass(frozen=True, slots=True)
class NamedSites:
    """Sites by name."""

    names: frozenset[sites.SiteName]

    def selects(self, site: sites.Site) -> bool:
        """Select by name."""
        return site.name in self.names

    def __str__(self) -> str:
        return text.join(sorted(self.names), 'and')


@dataclasses.dataclass(frozen=True, slots=True)
class LabelledSites:
    """Sites by their labels."""

    selector: selectors.Selector

    def selects(self, site: sites.Site) -> bool:
        """Select by labels."""
        return self.selector.matches(site.labels)

    def __str__(self) -> str:
        return f'labels {text.quote(self.selector.written)}'


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """One policy of placement.yaml, which `origin` names as ``FILE:LINE``.

    A deny policy has no wishes, tolerates nothing and has no deadline.
    """

    name: str
    match: matching.Block
    selection: Selection
    exclude: frozenset[sites.SiteName] = frozenset()
    deny: bool = False
    priority: int = 0
    origin: str = ''
    wishes: transfers.Wishes = transfers.NO_WISHES
    tolerates: frozenset[str] = frozenset()
    deadline_s: float | None = None

    @property
    def terms(self) -> wishing.Terms:
        """On what terms its sites get an image."""
        return wishing.Terms(self.wishes, self.tolerates, self.deadline_s)

    def reaches(self, site: sites.Site) -> bool:
        """Tell whether it speaks for (or, denying, against) a site."""
        return self.selection.selects(site) and site.name not in self.exclude

    def excludes(self, site: sites.Site) -> bool:
        """Tell whether only its `exclude` keeps it from a site."""
        return self.selection.selects(site) and site.name in self.exclude

    def reason(self) -> str:
        """Name the policy and its conditions, shortened."""
        condition = str(self.match)
        if len(condition) > _LONGEST_CONDITION:
            condition = f'{condition[:_LONGEST_CONDITION]}...'
        return f'policy {self.name} ({condition})'


class PolicySet:
    """All policies, applied to all sites. Immutable; any thread may ask.

    What a set of matching policies decides is the same for every image, so
    it is worked out once and shared: decide() is a test of each policy's
    match block and one look-up.
    """

    def __init__(
        self, policies: Sequence[Policy], all_sites: sites.Sites
    ) -> None:
        self.policies = tuple(
            sorted(policies, key=lambda p: (-p.priority, p.name))
        )
        self.sites = all_sites
        self._voices = tuple(_Voice.of(p, all_sites) for p in self.policies)
        self._unmatched = {
            site.name: decisions.Decision(site, False, None, _NO_MATCH)
            for site in all_sites
        }
        self._settled = functools.lru_cache(_REMEMBERED)(self._settle)
        self._names = tuple(site.name for site in all_sites)
        self._on_terms = functools.lru_cache(_REMEMBERED_TERMS)(_on_terms)
        self._without = functools.lru_cache(_REMEMBERED_PARTS)(self._part)

    def decide(self, image: images.Image) -> decisions.Decisions:
        """Decide for every site, in the order of sites.yaml."""
        return self._settled(
            tuple([v for v in self._voices if v.policy.match.holds(image)])
        )

    def without(self, names: frozenset[str]) -> 'PolicySet':
        """Leave out policies by name, but for those that deny."""
        return self._without(names)

    def _part(self, names: frozenset[str]) -> 'PolicySet':
        kept = [p for p in self.policies if p.deny or p.name not in names]
        return PolicySet(kept, self.sites)

    def explain(self, image: images.Image) -> explanations.Explanation:
        """Say everything that leads to what decide() returns."""
        matching_policies = [p for p in self.policies if p.match.holds(image)]
        return explanations.Explanation(
            _priority(matching_policies),
            tuple(_explain(site, matching_policies) for site in self.sites),
            tuple(
                explanations.PolicyExplanation(
                    p.name, p.origin, p.priority, p.deny, p.match.check(image)
                )
                for p in self.policies
            ),
        )

    def warnings(self) -> tuple[str, ...]:
        """Name what can have no effect, one ``FILE:LINE: warning:`` each."""
        if not self.policies:
            return ('warning: there are no policies: no image is copied',)
        if not len(self.sites):
            return ('warning: there are no sites: no image is copied',)
        return tuple(
            f'{p.origin}: warning: policy {p.name}: {doubt}'
            for p in self.policies
            for doubt in _doubts(p, self)
        )

    def _settle(self, voices: tuple['_Voice', ...]) -> decisions.Decisions:
        # Whoever speaks last has the last word: first those policies that
        # merely match, then exclusions, wishes and denials, each from the
        # lowest precedence to the highest.
        placing = [v for v in reversed(voices) if not v.policy.deny]
        denying = [v for v in reversed(voices) if v.policy.deny]
        settled = dict(placing[-1].unselected if placing else self._unmatched)
        for voice in placing:
            settled.update(voice.exclusions)
        for voice in (*placing, *denying):
            settled.update(voice.says)
        if any(v.has_terms for v in placing):
            settled.update(self._terms(voices))
        return decisions.Decisions(
            _priority([v.policy for v in voices]), tuple(settled.values())
        )

    def _terms(self, voices: Sequence['_Voice']) -> '_Said':
        """Say again what has terms, of those sites that are wanted."""
        placing = [v for v in voices if not v.policy.deny]
        denied = 0
        for voice in voices:
            denied |= voice.reach if voice.policy.deny else 0
        claims = [wishing.Claim(v.reach, v.policy.terms) for v in placing]
        said = {}
        for part in wishing.spread(claims, denied):
            if part.terms != wishing.NO_TERMS:
                says = self._on_terms(placing[part.decider], part.terms)
                for place in wishing.places(part.sites):
                    name = self._names[place]
                    said[name] = says[name]
        return said


_NO_MATCH = 'not wanted: no policy matches'

_Said = Mapping[sites.SiteName, decisions.Decision]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Voice:
    """What a policy says of the sites when it matches.

    Each mapping is in the order of sites.yaml; `unselected` has all sites.
    `reach` has a bit for each site of `says`, by its place in that order.
    """

    policy: Policy
    has_terms: bool
    reach: int
    says: _Said
    exclusions: _Said
    unselected: _Said

    @classmethod
    def of(cls, policy: Policy, all_sites: sites.Sites) -> '_Voice':
        return cls(
            policy,
            policy.terms != wishing.NO_TERMS,
            sum(
                1 << place
                for place, site in enumerate(all_sites)
                if policy.reaches(site)
            ),
            {
                site.name: _wanted_or_denied(policy, site)
                for site in all_sites
                if policy.reaches(site)
            },
            {
                site.name: _excluded(policy, site)
                for site in all_sites
                if policy.excludes(site)
            },
            {site.name: _unselected(policy, site) for site in all_sites},
        )


def _on_terms(voice: _Voice, terms: wishing.Terms) -> _Said:
    return {
        name: _with_terms(decision, terms)
        for name, decision in voice.says.items()
    }


def _with_terms(
    decision: decisions.Decision, terms: wishing.Terms
) -> decisions.Decision:
    return dataclasses.replace(
        decision,
        wishes=terms.wishes,
        tolerates=terms.tolerates,
        deadline_s=terms.deadline_s,
    )


def _wanted_or_denied(policy: Policy, site: sites.Site) -> decisions.Decision:
    verb = 'denied' if policy.deny else 'wanted'
    return decisions.Decision(
        site, not policy.deny, policy.name, f'{verb} by {policy.reason()}'
    )


def _excluded(policy: Policy, site: sites.Site) -> decisions.Decision:
    return decisions.Decision(
        site,
        False,
        policy.name,
        f'not wanted: policy {policy.name} matches but excludes this site',
    )


def _unselected(policy: Policy, site: sites.Site) -> decisions.Decision:
    return decisions.Decision(
        site,
        False,
        None,
        f'not wanted: policy {policy.name} matches but its sites do not '
        'include this one',
    )


def _priority(matching_policies: Sequence[Policy]) -> int:
    """Return the highest priority of those that want copies."""
    return max(
        (p.priority for p in matching_policies if not p.deny), default=0
    )


def _explain(
    site: sites.Site, matching_policies: Sequence[Policy]
) -> explanations.SiteExplanation:
    placing = [p for p in matching_policies if not p.deny]
    wanting = [p for p in placing if p.reaches(site)]
    excluding = [p for p in placing if p.excludes(site)]
    denying = [p for p in matching_policies if p.deny and p.reaches(site)]
    heard = [] if denying else wanting
    if denying or wanting:
        decision = _with_terms(
            _wanted_or_denied((denying or wanting)[0], site),
            functools.reduce(
                wishing.Terms.filled_from,
                (p.terms for p in heard),
                wishing.NO_TERMS,
            ),
        )
    elif excluding:
        decision = _excluded(excluding[0], site)
    elif placing:
        decision = _unselected(placing[0], site)
    else:
        decision = decisions.Decision(site, False, None, _NO_MATCH)
    return explanations.SiteExplanation(
        decision,
        _names(wanting),
        _names(denying),
        _names(excluding),
        tuple(_explain_wishes(heard)),
    )


def _explain_wishes(
    wanting: Sequence[Policy],
) -> Iterator[explanations.WishExplanation]:
    """Say whose each wish is: that of the first that has it."""
    told = set()
    for policy in wanting:
        for key, value in wishing.words(policy.wishes).items():
            if key not in told:
                told.add(key)
                yield explanations.WishExplanation(key, value, policy.name)


def _names(policies: Sequence[Policy]) -> tuple[str, ...]:
    return tuple(p.name for p in policies)


def _doubts(policy: Policy, policy_set: PolicySet) -> Iterator[str]:
    """Say what is doubtful about one policy of a set."""
    all_sites = tuple(policy_set.sites)
    selected = [s for s in all_sites if policy.selection.selects(s)]
    reached = [s for s in selected if policy.reaches(s)]
    if not selected:
        yield f'its sites ({policy.selection}) match no site of sites.yaml'
        return
    idle = policy.exclude - {s.name for s in selected}
    if idle:
        yield (
            f'its exclude of {text.join(sorted(idle), "and")} has no effect: '
            f'its sites ({policy.selection}) do not include it'
        )
    if not reached:
        yield 'its exclude leaves it no site'
    elif policy.deny:
        yield from _doubts_of_denial(reached, policy_set)
    else:
        yield from _doubts_of_placing(reached, policy_set)
        yield from _doubts_of_wishes(policy, reached)


def _doubts_of_denial(
    reached: Sequence[sites.Site], policy_set: PolicySet
) -> Iterator[str]:
    placing = [p for p in policy_set.policies if not p.deny]
    if not any(p.reaches(site) for p in placing for site in reached):
        yield 'it denies sites to which no policy sends an image'


def _doubts_of_placing(
    reached: Sequence[sites.Site], policy_set: PolicySet
) -> Iterator[str]:
    always = [
        p for p in policy_set.policies if p.deny and not p.match.conditions
    ]
    if all(any(p.reaches(site) for p in always) for site in reached):
        denying = text.join(
            (p.name for p in always if any(map(p.reaches, reached))), 'and'
        )
        yield f'it can never add a site: {denying} denies all of its sites'


def _doubts_of_wishes(
    policy: Policy, reached: Sequence[sites.Site]
) -> Iterator[str]:
    if policy.wishes.engine is transfers.EngineChoice.RBD_STREAM:
        away = [site.name for site in reached if site.cluster is None]
        if away:
            yield (
                'it asks for rbd-stream, but sites.yaml has no cluster for '
                f'{text.join(away, "and")}'
            )
