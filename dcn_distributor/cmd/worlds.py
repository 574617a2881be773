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
"""What the operators' commands see: a cloud, its rules, and its agents.

Nothing heavy is imported before a command needs it, so that --help answers
at once. A command opens its world through an attribute of its class, which
tests set to open another.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import difflib
import logging
import re
from typing import Any
from typing import TYPE_CHECKING

from dcn_distributor import exceptions
from dcn_distributor.cmd import rendering
from dcn_distributor.core import images
from dcn_distributor.core import memory as memories
from dcn_distributor.core import ports
from dcn_distributor.core import sites
from dcn_distributor.core import text
from dcn_distributor.core import transitions

if TYPE_CHECKING:
    from dcn_distributor import app
    from dcn_distributor.cmd import applications

_UUID = re.compile(r'[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}')

# Libraries that tell of each try to connect, at length.
_TALKATIVE = ('oslo.messaging', 'oslo_messaging', 'amqp', 'kombu')


def open_world(application: 'applications.Application') -> 'app.World':
    """Open the world of the configuration. Raises ConfigError."""
    from dcn_distributor import app
    from dcn_distributor.clients import glance

    if not application.options.debug:
        for logger in _TALKATIVE:
            logging.getLogger(logger).setLevel(logging.CRITICAL)
    conf, settings = application.read_configuration(glance.register_opts)
    return app.open_world(conf, settings, application.connect_images)


def find(port: ports.Images, words: Sequence[str]) -> list[images.Image]:
    """Read the images that have one of some ids or names.

    Several may have the same name. Raises ImageNotFound for a word that
    none has.
    """
    found = {}
    names = set()
    for word in words:
        if _UUID.fullmatch(word):
            image = port.get(images.ImageId(word.lower()))
            found[image.id] = image
        else:
            names.add(word)
    if names:
        found |= {i.id: i for i in port.list() if i.name in names}
    missing = names - {i.name for i in found.values()}
    if missing:
        shown = text.join(map(text.show, sorted(missing)), 'or')
        raise exceptions.ImageNotFound(f'no image is called {shown}')
    return list(found.values())


def find_one(port: ports.Images, word: str) -> images.Image | str:
    """Read the image with an id, or with a name that no other has.

    Otherwise returns what to tell of those that have it. Raises
    ImageNotFound.
    """
    found = find(port, [word])
    if len(found) == 1:
        return found[0]
    ids = ''.join(f'\n  {i}' for i in sorted(image.id for image in found))
    return (
        f'{len(found)} images are called {text.show(word)}; take an id:{ids}'
    )


def as_id(word: str) -> images.ImageId | None:
    """Take a word for an image's id, if it looks like one."""
    return images.ImageId(word.lower()) if _UUID.fullmatch(word) else None


def pick_sites(
    words: Sequence[str], known: Sequence[sites.Site]
) -> list[sites.Site] | str:
    """Find sites by their names, each once; all if there are no words.

    Otherwise returns what to tell of a name that no site has.
    """
    by_name: dict[str, sites.Site] = {site.name: site for site in known}
    for word in words:
        if word not in by_name:
            return near_miss('site', word, list(by_name))
    return [by_name[word] for word in dict.fromkeys(words or by_name)]


def near_miss(what: str, word: str, known: Sequence[str]) -> str:
    """Say that there is no such thing, and what may have been meant."""
    near = difflib.get_close_matches(word, known, 1)
    hint = f'; did you mean {near[0]}?' if near else ''
    return f'there is no {what} {text.show(word)}{hint}'


def ask_agent(world: 'app.World', stderr: Any) -> memories.Memory | None:
    """Ask an agent what it remembers; say on stderr if none answers."""
    try:
        memory = memories.remembered(world.agent.remembered())
    except exceptions.BusUnavailable as exc:
        stderr.write(f'Next tries are unknown: {exc}\n')
        return None
    try:
        memory = memories.with_transfers(memory, world.agent.transfers())
    except exceptions.BusUnavailable as exc:
        stderr.write(f'Streams are not shown: {exc}\n')
    try:
        # Last, since it names all that were silent until then.
        memory = memories.with_roster(memory, world.agent.who())
    except exceptions.BusUnavailable:
        return memory
    for line in rendering.gaps(memory.roster):
        stderr.write(f'{line}\n')
    return memory


def ask_routes(
    world: 'app.World', image_id: images.ImageId
) -> Mapping[images.StoreId, memories.Route]:
    """Ask an agent how it would bring an image to its sites, if it can."""
    try:
        return memories.routes(world.agent.routes(image_id))
    except exceptions.BusUnavailable:
        return {}


def ask_timeline(
    world: 'app.World', image_id: images.ImageId, stderr: Any
) -> transitions.Timeline | None:
    """Ask the agents what happened to an image; say if that is not known."""
    try:
        return transitions.from_plain(world.agent.timeline(image_id))
    except exceptions.BusUnavailable as exc:
        stderr.write(f'The timeline is not shown: {exc}\n')
        return None


def warn_of_unknown_stores(
    world: 'app.World',
    known_stores: frozenset[images.StoreId],
    stderr: Any,
) -> None:
    """Name the sites that can get no copies."""
    for site in world.rules.sites:
        if site.store not in known_stores:
            known = text.join(sorted(known_stores), 'and')
            stderr.write(
                f'warning: site {site.name}: Glance has no store '
                f'{site.store}; it has {known}\n'
            )
