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
"""How sites are parted by who decides them and what is wished."""

from hypothesis import given
from hypothesis import strategies as st

from dcn_distributor.core import transfers
from dcn_distributor.core import wishing
from tests.unit.core import examples

SITES = range(6)
_SETS = st.integers(0, 2 ** len(SITES) - 1)
_CLAIMS = st.lists(st.builds(wishing.Claim, _SETS, examples.TERMS))


@given(_CLAIMS, _SETS)
def test_each_site_that_is_wanted_is_in_one_part(claims, denied):
    parts = list(wishing.spread(claims, denied))

    for site in SITES:
        bit = 1 << site
        wanted = any(claim.sites & bit for claim in claims)
        assert sum(bool(part.sites & bit) for part in parts) == (
            wanted and not denied & bit
        )


@given(_CLAIMS, _SETS)
def test_a_site_gets_the_terms_of_those_that_want_it_in_their_order(
    claims, denied
):
    for part in wishing.spread(claims, denied):
        for site in wishing.places(part.sites):
            wanting = [c for c in claims if c.sites & 1 << site]
            terms = wishing.NO_TERMS
            for claim in wanting:
                terms = terms.filled_from(claim.terms)
            assert part.terms == terms
            assert claims[part.decider] == wanting[0]


@given(st.frozensets(st.integers(0, 300)))
def test_places_are_the_bits_that_are_set(places):
    sites = sum(1 << place for place in places)

    assert list(wishing.places(sites)) == sorted(places)


def test_wishes_are_written_as_the_file_has_them():
    wishes = transfers.Wishes(
        transfers.EngineChoice.AUTO,
        transfers.SourceChoice.CENTRAL,
        transfers.Verify.SIZE,
        25e6,
    )

    assert wishing.words(wishes) == {
        'engine': 'auto',
        'source': 'central',
        'verify': 'size',
        'rate': '200Mbit/s',
    }
    assert wishing.words(transfers.NO_WISHES) == {}
