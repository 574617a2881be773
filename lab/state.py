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
"""What a lab remembers between two commands: its directory.

``state.json`` holds the identity, the sites and their links, the file they
are like, the flavour of Glance, how many agents and brokers there are, the
ports and the passwords. It is written before anything starts, so that an
interrupted `up` is continued with the same values.
"""

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
import fcntl
import json
import os
from pathlib import Path
import re
import secrets
import shutil

from lab import errors
from lab import files
from lab import link
from lab import ports

TOP = Path(__file__).resolve().parent.parent
# For programs of ours: the code beside the lab, whatever is installed.
OUR_CODE = {'PYTHONPATH': str(TOP)}
CENTRAL = 'central'
EDGES = ('dcn0', 'dcn1')
FLAVOURS = ('pypi', 'debian')
# Two could not lose one and still be most of them.
BUS_SIZES = (1, 3)
# The most neighbouring ports that one service asks for.
BLOCK = 16
USERS = ('admin', 'demo', 'glance', 'dcn-distributor', 'rabbitmq')
_SITE = re.compile(r'[a-z][a-z0-9_-]{0,30}')
# The address of a Unix socket holds 107 characters; the longest name we
# put below the run directory has fewer than this.
_SOCKET_ROOM = 107 - 50
_NEEDED_BYTES = 4 << 30
_TAKE_AWAY = (
    'take it away first (tools/lab down --purge), or use another DCN_LAB_DIR'
)


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """What an `up` asks for; what is left open stays as it is.

    :ivar like: the sites.yaml that `edges` are of
    """

    edges: tuple[str, ...] = ()
    glance: str = ''
    manager: bool = False
    links: Mapping[str, link.Link] = dataclasses.field(default_factory=dict)
    like: Path | None = None
    agents: int | None = None
    rabbitmq_nodes: int | None = None


@dataclasses.dataclass(slots=True)
class State:
    """The settled facts of one lab."""

    directory: Path
    identity: str
    glance: str
    sites: tuple[str, ...]
    run_directory: Path
    rados_timeout_s: int
    passwords: dict[str, str]
    ports: dict[str, int]
    with_manager: bool = False
    agents: int = 1
    rabbitmq_nodes: int = 1
    like: Path | None = None
    links: dict[str, link.Link] = dataclasses.field(default_factory=dict)
    networks: dict[str, int] = dataclasses.field(default_factory=dict)

    def service_directory(self, name: str) -> Path:
        """Give the directory of one service (it may not exist yet)."""
        return self.directory / name

    @property
    def bootstrap_directory(self) -> Path:
        """The directory of issued keys, and of files rendered with them."""
        return self.directory / 'bootstrap'

    def log(self, name: str) -> Path:
        """Give the log file of a service or of one of its programs."""
        return self.directory / 'log' / f'{name}.log'

    def port(self, name: str, count: int = 1) -> int:
        """Give the port of that name, or the first of `count`."""
        if name not in self.ports:
            taken = self._taken()
            self.ports[name] = ports.choose(count, self.directory, taken)
        return self.ports[name]

    def _taken(self) -> set[int]:
        """Give what is ours, should our claims have been swept from /tmp."""
        reach = range(-BLOCK, BLOCK)
        return {p + offset for p in self.ports.values() for offset in reach}

    def network(self, site: str) -> link.Network:
        """Give the network of a site's link."""
        if site not in self.networks:
            self.networks[site] = link.choose_number(self.networks.values())
        prefix = link.namespace_prefix(self.identity)
        return link.Network(self.networks[site], f'{prefix}{site}')

    @property
    def edges(self) -> tuple[str, ...]:
        """The sites other than central."""
        return tuple(site for site in self.sites if site != CENTRAL)

    def save(self) -> None:
        """Write it down, with its passwords, for its owner only."""
        values = dataclasses.asdict(self)
        del values['directory']
        values['run_directory'] = str(self.run_directory)
        values['like'] = str(self.like) if self.like else None
        files.write_private(
            self.directory / 'state.json', json.dumps(values, indent=2) + '\n'
        )


def default_directory() -> Path:
    """Give DCN_LAB_DIR, or .lab at the top of the repository."""
    return Path(os.environ.get('DCN_LAB_DIR') or TOP / '.lab').absolute()


def load(directory: Path) -> State | None:
    """Read what an earlier `up` settled; None if there was none."""
    path = directory / 'state.json'
    try:
        values = json.loads(path.read_text())
        values['sites'] = tuple(values['sites'])
        values['run_directory'] = Path(values['run_directory'])
        like = values.get('like')
        values['like'] = Path(like) if like else None
        links = values.get('links', {})
        values['links'] = {s: link.Link(**one) for s, one in links.items()}
        return State(directory=directory, **values)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise errors.LabError(
            f'{path} cannot be read as the state of a lab ({exc}): end its '
            f'processes by hand and remove {directory}'
        ) from exc


def settle(directory: Path, wanted: Wanted) -> State:
    """Load the state or make a new one, with all that is wanted in it."""
    check_sites(wanted.edges)
    known = load(directory)
    if known is None:
        known = _new(directory, wanted)
    _check_same(known, wanted)
    known.agents = wanted.agents or known.agents
    known.sites += tuple(s for s in wanted.edges if s not in known.sites)
    check_sites(known.edges)
    for site, one in wanted.links.items():
        _check_link(known, site, one)
        known.links[site] = one
    known.with_manager = known.with_manager or wanted.manager
    known.rados_timeout_s = _rados_timeout_s(known.rados_timeout_s)
    return known


def _check_same(known: State, wanted: Wanted) -> None:
    """Refuse what cannot change once a lab is made."""
    directory, like = known.directory, wanted.like
    if like is not None and (
        known.like is None or known.like.read_text() != like.read_text()
    ):
        raise errors.LabError(
            f'the lab in {directory} is not like {like}: {_TAKE_AWAY}'
        )
    if wanted.glance and wanted.glance != known.glance:
        raise errors.LabError(
            f'the lab in {directory} was made with --glance {known.glance}, '
            f'not {wanted.glance}: {_TAKE_AWAY}'
        )
    nodes = wanted.rabbitmq_nodes
    if nodes is not None and nodes != known.rabbitmq_nodes:
        raise errors.LabError(
            f'the lab in {directory} was made with --rabbitmq-nodes '
            f'{known.rabbitmq_nodes}, not {nodes}: {_TAKE_AWAY}'
        )
    if wanted.agents is not None and wanted.agents < known.agents:
        raise errors.LabError(
            f'the lab in {directory} has {known.agents} agents, and it can '
            f'get more, but not fewer: {_TAKE_AWAY}'
        )


def check_sites(sites: tuple[str, ...]) -> None:
    """Refuse names that a store, a path or a variable could not have."""
    variables: dict[str, str] = {}
    for site in sites:
        if not _SITE.fullmatch(site) or site.startswith('os_glance_'):
            raise errors.LabError(
                f'{site!r} is no name for a site: expected a small letter, '
                'then up to 30 small letters, digits, _ or -'
            )
        other = variables.setdefault(site.replace('-', '_'), site)
        if other != site or site == CENTRAL:
            raise errors.LabError(
                f'the site {site!r} would be mistaken for '
                f'{other if other != site else "the central one"!r}: '
                'choose another name'
            )


def _check_link(known: State, site: str, one: link.Link) -> None:
    one.check()
    if site not in known.sites:
        raise errors.LabError(
            f'a link to {site!r}, which is no site of this lab: there are '
            f'{", ".join(known.sites)}'
        )
    cluster = known.service_directory(f'ceph-{site}')
    if site not in known.links and (cluster / 'initialised').exists():
        raise errors.LabError(
            f'the cluster of {site} was made without a link, and a monitor '
            'keeps its address: take the lab away first (tools/lab down '
            '--purge), or use another DCN_LAB_DIR'
        )


@contextlib.contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Let one command at a time change this lab."""
    descriptor = _locked(directory)
    try:
        yield
    finally:
        os.close(descriptor)


def _locked(directory: Path) -> int:
    path = directory / 'lab.lock'
    while True:
        try:
            check_directory(directory)
            files.private_directory(directory)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as exc:
            raise errors.LabError(
                f'the directory of the lab, {directory}, cannot be written '
                f'({exc.strerror}): choose another one with DCN_LAB_DIR'
            ) from exc
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # While we waited, the other command may have purged it.
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        os.close(descriptor)


def check_directory(directory: Path) -> None:
    """Refuse a directory with other things in it: `purge` removes it all."""
    if not directory.exists():
        return
    names = {entry.name for entry in directory.iterdir()}
    if names and not names & {'lab.lock', 'state.json'}:
        raise errors.LabError(
            f'{directory} has something in it that is not a lab: name a '
            'directory that is empty or does not exist with DCN_LAB_DIR'
        )


def _new(directory: Path, wanted: Wanted) -> State:
    free = shutil.disk_usage(directory).free
    if free < _NEEDED_BYTES:
        raise errors.LabError(
            f'{directory} has {free >> 20} MiB free, and a lab needs '
            f'{_NEEDED_BYTES >> 20} MiB to begin with: make room or choose '
            'another disk with DCN_LAB_DIR'
        )
    identity = secrets.token_hex(8)
    like = None
    if wanted.like is not None:
        like = directory / 'like.yaml'
        files.write_private(like, wanted.like.read_text())
    return State(
        directory=directory,
        identity=identity,
        glance=wanted.glance or FLAVOURS[0],
        sites=(CENTRAL, *(wanted.edges or EDGES)),
        run_directory=_choose_run_directory(directory, identity),
        rados_timeout_s=30,
        passwords={user: secrets.token_hex(16) for user in USERS},
        ports={},
        rabbitmq_nodes=wanted.rabbitmq_nodes or 1,
        like=like,
    )


def _choose_run_directory(directory: Path, identity: str) -> Path:
    """Choose where the Unix sockets go; `up` makes it when it starts."""
    inside = directory / 'run'
    if len(os.fsencode(inside)) <= _SOCKET_ROOM:
        return inside
    return Path('/tmp') / f'dcn-lab-{identity}'


def _rados_timeout_s(default: int) -> int:
    text = os.environ.get('DCN_LAB_RADOS_TIMEOUT')
    if not text:
        return default
    if not text.isdigit():
        raise errors.LabError(
            f'DCN_LAB_RADOS_TIMEOUT is {text!r}: expected whole seconds, or '
            '0 to wait for ever'
        )
    return int(text)
