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
"""Takes an operator's word to pause, hold, resume or release something."""

from typing import Any
import uuid

from dcn_distributor import exceptions
from dcn_distributor.core import pauses as all_pauses
from dcn_distributor.core import text
from dcn_distributor.service import pauses
from dcn_distributor.service import rules as rule_books

# What an operator may say of it, in characters.
_LONGEST = 500


def rest(
    book: pauses.PauseBook,
    rules: rule_books.Rules,
    wanted: all_pauses.Word,
) -> dict[str, Any]:
    """Put a word in the book; see clients.bus.control.Agent.rest."""
    refused = None
    # What rests may go on, though sites and policies may be others by now.
    if wanted.rests or book.pauses.of(*wanted.key) is None:
        refused = _refusal(wanted, rules)
    said = pauses.Said(None, is_new=False)
    if refused is None:
        why = wanted.why[:_LONGEST]
        try:
            said = book.say(wanted.key, wanted.rests, wanted.by, why)
        except exceptions.ConfigError as exc:
            refused = str(exc)
    word = said.word
    return {
        'refused': refused,
        'is_new': said.is_new,
        'word': None if word is None else all_pauses.plain(word),
    }


def _refusal(wanted: all_pauses.Word, rules: rule_books.Rules) -> str | None:
    """Tell why something cannot rest."""
    kind, name = wanted.key
    shown = text.show(name)
    if kind is all_pauses.Kind.IMAGE:
        return None if _is_id(name) else f'{shown} is no id of an image'
    known: dict[all_pauses.Kind, set[str]] = {
        all_pauses.Kind.SITE: {site.name for site in rules.sites},
        all_pauses.Kind.LINK: {site.link.name for site in rules.sites},
        all_pauses.Kind.POLICY: {p.name for p in rules.policies.policies},
    }
    if name not in known[kind]:
        return f'there is no {kind.value} {shown}'
    if kind is all_pauses.Kind.POLICY and _denies(name, rules):
        return f'policy {shown} denies; there is nothing of it to pause'
    return None


def _denies(name: str, rules: rule_books.Rules) -> bool:
    return any(p.deny for p in rules.policies.policies if p.name == name)


def _is_id(name: str) -> bool:
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False
