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
"""Make one answer of those of several agents.

Each tells of the stores whose links it has, so what they tell hardly ever
meets; while a link moves it may. Then what is worse counts, and in whatever
order the answers came, the same comes of them. See clients.bus.control.Agent
for what each answers; agents of other releases may leave out any of it.
"""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import json
from typing import Any

from dcn_distributor.core import pauses
from dcn_distributor.core import transitions

Answer = dict[str, Any]
_Answers = Sequence[Mapping[str, Any]]


def hosts(answers: _Answers) -> Answer:
    """Name all who answered."""
    names = sorted({str(answer.get('host')) for answer in answers})
    return {'host': ', '.join(names), 'hosts': names}


def resync(answers: _Answers) -> Answer:
    """Merge answers to the question resync."""
    counts = [answer.get('looking_at') for answer in answers]
    known = [count for count in counts if isinstance(count, int)]
    is_all = len(known) < len(counts)
    return {**hosts(answers), 'looking_at': None if is_all else max(known)}


def remembered(answers: _Answers) -> Answer:
    """Merge answers to the question remembered."""
    heard: list[pauses.Word] = []
    for answer in answers:
        words = map(pauses.from_plain, _list(answer.get('pauses')))
        heard += [word for word in words if word is not None]
    return {
        **hosts(answers),
        'setbacks': _by_image(answers, 'setbacks'),
        'troubles': _by_name(_all(answers, 'troubles')),
        'verified': _lists(_all(answers, 'verified')),
        'obstacles': _lists(_all(answers, 'obstacles')),
        'orders': _by_image(answers, 'orders'),
        'events': _sums(_all(answers, 'events')),
        'looks': sum(_number(answer.get('looks')) for answer in answers),
        'links': _by_name(_all(answers, 'links')),
        'pauses': [pauses.plain(one) for one in pauses.NONE.merged(heard)],
    }


def transfers(answers: _Answers) -> Answer:
    """Merge answers to the question transfers."""
    told = [
        {'host': answer.get('host'), **one}
        for answer in answers
        for one in _list(answer.get('transfers'))
        if isinstance(one, Mapping)
    ]
    return {**hosts(answers), 'transfers': sorted(told, key=_began)}


def routes(answers: _Answers) -> Answer:
    """Merge answers to the question routes."""
    return {**hosts(answers), 'routes': _by_name(_all(answers, 'routes'))}


def timelines(answers: _Answers) -> Answer:
    """Merge answers to the question timeline."""
    told = [transitions.from_plain(answer) for answer in answers]
    return {**hosts(answers), **transitions.plain(transitions.merged(told))}


def copies(answers: _Answers) -> Answer:
    """Merge the answers to copy(), each asked for other sites."""
    accepted = {
        str(site)
        for answer in answers
        for site in _list(answer.get('accepted'))
    }
    refused = _all(answers, 'refused')
    took = [answer for answer in answers if _list(answer.get('accepted'))]
    return {
        **hosts(took or answers),
        'accepted': sorted(accepted),
        'refused': {
            site: reason
            for site, reason in _texts(refused).items()
            if site not in accepted
        },
        'waits': _texts(_all(answers, 'waits')),
    }


def _all(answers: _Answers, key: str) -> list[Mapping[str, Any]]:
    """Give what each says of one thing, if it says anything."""
    told = [answer.get(key) for answer in answers]
    return [one for one in told if isinstance(one, Mapping)]


def _by_image(answers: _Answers, key: str) -> Answer:
    """Merge what is told by image, and then by store."""
    told = _all(answers, key)
    image_ids = sorted({image_id for one in told for image_id in one})
    return {
        image_id: _by_name(
            stores
            for one in told
            if isinstance(stores := one.get(image_id), Mapping)
        )
        for image_id in image_ids
    }


def _by_name(told: Iterable[Mapping[str, Any]]) -> Answer:
    """Merge what is told by name; of several, the worse counts."""
    merged: Answer = {}
    for one in told:
        for name, value in one.items():
            if not isinstance(value, Mapping):
                continue
            if name not in merged or _rank(merged[name]) < _rank(value):
                merged[name] = value
    return dict(sorted(merged.items()))


def _rank(value: Mapping[str, Any]) -> tuple[bool, float, str]:
    """Tell which of two values on one thing counts.

    An order that is under way goes before one that failed where the link
    was before; else more failures count, and else either as well.
    """
    is_under_way = 'failed' in value and value['failed'] is None
    return is_under_way, _number(value.get('failures')), _text(value)


def _lists(told: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    merged: dict[str, set[str]] = {}
    for one in told:
        for name, values in one.items():
            merged.setdefault(name, set()).update(map(str, _list(values)))
    return {name: sorted(merged[name]) for name in sorted(merged)}


def _texts(told: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    pairs = sorted((str(k), str(v)) for one in told for k, v in one.items())
    return dict(pairs)


def _sums(told: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    merged: dict[str, float] = {}
    for one in told:
        for name, value in one.items():
            merged[name] = merged.get(name, 0) + _number(value)
    return dict(sorted(merged.items()))


def _began(report: Mapping[str, Any]) -> tuple[float, str]:
    return _number(report.get('started_s')), _text(report)


def _number(value: object) -> float:
    is_number = isinstance(value, int | float)
    return value if is_number else 0  # type: ignore[return-value]


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)
