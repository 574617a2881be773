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
"""The order of things: a lab, an agent, images, copies, the proof.

1. A lab, unless one is up; an agent with the demo's own policies.
2. Images are uploaded one after another while the matrix is shown.
3. When all is as the policies ask, one image becomes public, and travels.
4. One site lets Glance read only; what copy-image cannot bring there, a
   stream does.
5. The clusters are asked what they hold: see proof.py.
6. Everything that was started is ended.
"""

from collections.abc import Callable
from collections.abc import Iterable
from concurrent import futures
import contextlib
from pathlib import Path
import threading
import time

from dcn_distributor import exceptions
from dcn_distributor.cmd import rendering
from dcn_distributor.core import placements
from dcn_distributor.core import policies
from demo import agents
from demo import clouds
from demo import errors
from demo import hints
from demo import keys
from demo import meter as meters
from demo import news
from demo import pictures
from demo import proof
from demo import screens
from demo import sights
from demo import venues
from lab import clusters
from lab import errors as lab_errors

_DEADLINE_S = 240.0
_PAUSE_S = 0.4
_IDLE_PAUSE_S = 1.0
_LOG_LINES = 15
_OPENING = """\
A cloud with a central and two edge sites, on this machine and for real; an
image belongs into an edge site's own Ceph cluster before an instance there
needs it."""

Subjects = dict[str, proof.Subject]


class Story:
    """See the module; play(), maybe stay(), then take_down() or leave()."""

    def __init__(self, screen: screens.Screen) -> None:
        self._screen = screen
        self._venue = venues.Venue(lambda said: screen.line('lab', said))
        self._agent: agents.Agent | None = None
        self._cloud: clouds.Cloud | None = None
        self._observer: sights.Observer | None = None
        self._last: sights.Sight | None = None
        self._subjects: Subjects = {}
        self._is_why_told = False
        self._is_ending = threading.Event()

    # -- the acts ---------------------------------------------------------

    def play(self) -> None:
        """Show everything once. Raises DemoError if it does not work."""
        screen = self._screen
        screen.paragraph(_OPENING)
        with screen.phase(
            'Lab', 'RabbitMQ, Keystone, Glance, and a Ceph cluster each site'
        ):
            self._open_lab()
        with screen.phase(
            'Agent', 'it hears from Glance, and asks Glance for copies'
        ):
            self._start_agent()
        with screen.phase(
            'Copies', 'images come to central; policies say where they go'
        ):
            self._distribute()
        with screen.phase(
            'Stream', 'a site that copy-image cannot serve gets its copy, too'
        ):
            self._stream()
        with screen.phase(
            'Proof', "what the sites' own clusters hold, past Glance"
        ):
            self._prove()

    def stay(self) -> None:
        """Go on showing what happens, until Ctrl-C."""
        agent, observer = self._agent, self._observer
        assert agent is not None
        assert observer is not None
        self._screen.paragraph(hints.text(self._venue.lab.directory))
        changed_at = _changed_at(agent.placement_file)
        with self._screen.watching():
            while True:
                if not agent.is_running:
                    self._screen.line('agent', 'has died; started again')
                    self._screen.line('agent', f'runs, pid {agent.start()}')
                if changed_at != _changed_at(agent.placement_file):
                    changed_at = _changed_at(agent.placement_file)
                    self._reread(observer)
                self._look()
                threading.Event().wait(_IDLE_PAUSE_S)

    def take_down(self) -> None:
        """End all that was started, whatever state it is in."""
        self._is_ending.set()
        with (
            self._screen.phase('End', 'everything goes as it came'),
            # The last one first, and each whatever the others say.
            contextlib.ExitStack() as stack,
        ):
            stack.callback(self._leave_lab)
            if self._cloud is not None and self._venue.stays_up:
                stack.callback(self._remove_images, self._cloud)
            if self._agent is not None:
                stack.callback(self._end_agent, self._agent)

    def leave(self) -> None:
        """Say where everything is that was kept."""
        directory = self._venue.lab.directory
        self._screen.paragraph(
            f'\nEverything is left as it is, in {directory}; afterwards:\n'
            f'  {hints.assignment(directory)}tools/lab down --purge'
        )

    def tell_logs(self) -> None:
        """Show how the logs end that may tell what went wrong."""
        if self._agent is None:
            return
        logs = [self._agent.log_file]
        with contextlib.suppress(lab_errors.LabError):
            logs.append(self._venue.log('glance'))
        for log in logs:
            if log.exists():
                self._screen.paragraph(lab_errors.log_tail(log, _LOG_LINES))

    # -- the end, in parts ------------------------------------------------

    def _end_agent(self, agent: agents.Agent) -> None:
        agent.stop()
        self._screen.line('agent', 'ended')

    def _remove_images(self, cloud: clouds.Cloud) -> None:
        count = cloud.remove_pictures()
        self._screen.line(
            'images', f'{rendering.count(count, "image")} removed'
        )

    def _leave_lab(self) -> None:
        said = self._venue.leave()
        if said:
            self._screen.line('lab', said)

    # -- the scenes -------------------------------------------------------

    def _open_lab(self) -> None:
        venue = self._venue
        venue.enter()
        if venue.was_up:
            self._screen.line('lab', f'uses the one in {venue.lab.directory}')
        venue.lab.up()

    def _start_agent(self) -> None:
        venue, screen = self._venue, self._screen
        agent = agents.Agent(venue.lab, venue.directory)
        # What a demo that crashed may have left.
        agent.stop()
        cloud = clouds.Cloud(venue.lab)
        if venue.was_up:
            self._barred().restore()
            cloud.remove_pictures()
        agent.configure()
        confs = {site: venue.lab.ceph_conf(site) for site in venue.lab.sites}
        observer = sights.Observer(str(agent.conf_file), meters.Meter(confs))
        self._refuse_another_agent(observer)
        self._agent, self._cloud, self._observer = agent, cloud, observer
        screen.line('agent', f'runs, pid {agent.start()}')
        for policy in observer.world.rules.policies:
            screen.line('policy', _describe(policy))

    def _refuse_another_agent(self, observer: sights.Observer) -> None:
        if not self._venue.stays_up:
            return
        host = sights.answers(observer.world)
        if host:
            raise errors.DemoError(
                f'an agent already works in {self._venue.lab.directory} (on '
                f'{rendering.printable(host)}), by policies of its own: end '
                'it, or name another directory with DCN_LAB_DIR'
            )

    def _distribute(self) -> None:
        """Upload in the background, and watch."""
        uploads = _in_background(self._upload_all)
        with self._screen.watching():
            self._watch('the first copies are there', uploads)
            later = self._subjects[pictures.LATER]
            self._screen.line(
                'change', f'{pictures.LATER} is released: it becomes public'
            )
            self._subjects[pictures.LATER] = proof.Subject(
                later.image_id,
                pictures.released(later.picture),
                later.original,
            )
            assert self._cloud is not None
            self._cloud.release(later.image_id)
            self._watch('the released image is there', uploads)
        assert self._last is not None
        self._screen.conclude(self._last)

    def _barred(self) -> keys.GlanceKey:
        """The key of Glance at the site that is to be difficult."""
        return keys.GlanceKey(self._venue.lab, self._venue.lab.sites[-1])

    def _stream(self) -> None:
        """Keep Glance from writing to a site, and watch what happens."""
        key, screen = self._barred(), self._screen
        key.narrow()
        screen.line(
            'key', f'{key.site} lets Glance read only: no copy-image to there'
        )
        try:
            with screen.watching():
                self._watch(
                    'the copy that Glance could not make is there',
                    _in_background(lambda: self._upload(pictures.STREAMED)),
                )
        finally:
            key.restore()
            screen.line('key', f'{key.site} lets Glance write again')
        assert self._last is not None
        screen.conclude(self._last)

    def _tell_why(self) -> None:
        """Tell once why a stream goes to the difficult site."""
        subject = self._subjects.get(pictures.STREAMED.name)
        if self._is_why_told or subject is None:
            return
        assert self._observer is not None
        site = self._barred().site
        why = self._observer.why(subject.image_id, site)
        if 'rbd-stream' in why:
            self._is_why_told = True
            name = pictures.STREAMED.name
            self._screen.line('stream', f'{name} to {site}: {why}')

    def _upload_all(self) -> None:
        for picture in pictures.PICTURES:
            if self._is_ending.is_set():
                return
            self._upload(picture)

    def _upload(self, picture: pictures.Picture) -> None:
        assert self._cloud is not None
        original = pictures.make(picture, self._venue.pictures)
        size = rendering.size(original.size_bytes)
        self._screen.line(
            'upload',
            f'{picture.name}, {size}, {picture.visibility}: {picture.about}',
        )
        image_id = self._cloud.upload(picture, original)
        self._subjects[picture.name] = proof.Subject(
            image_id, picture, original
        )

    def _watch(self, what: str, uploads: 'futures.Future[None]') -> None:
        """Show the matrix until everything is where it is expected."""
        deadline = time.monotonic() + _DEADLINE_S
        while True:
            note = self._look()
            if uploads.done():
                uploads.result()
                missing = self._missing()
                if not missing:
                    return
            else:
                missing = ['not all images are uploaded']
            assert self._agent is not None
            if not self._agent.is_running:
                raise errors.DemoError('the agent has died')
            if time.monotonic() > deadline:
                raise errors.DemoError(
                    f'not within {_DEADLINE_S:.0f} s: {what}; '
                    f'{"; ".join([*missing, note]).rstrip("; ")}'
                )
            threading.Event().wait(_PAUSE_S)

    def _missing(self) -> list[str]:
        """Say which images are not just where they are expected."""
        last = self._last
        if last is None:
            return ['nothing was seen']
        regions = _regions(last)
        wrong = []
        for name, subject in self._subjects.items():
            row = last.row(subject.image_id)
            wanted = {
                s for s, r in regions.items() if subject.picture.is_at(r)
            }
            there = set() if row is None else _present(row.cells)
            if row is None or there != wanted or row.image.import_task:
                wrong.append(f'{name} is at {sorted(there)}, not {wanted}')
            elif subject.picture is pictures.STREAMED:
                site = self._barred().site
                if site not in _verified(row.cells):
                    wrong.append(f'{name} is not verified at {site}')
        return wrong

    def _look(self) -> str:
        """Look once; show and tell it. Return what hindered."""
        assert self._observer is not None
        try:
            sight = self._observer.look()
        except exceptions.DistributorError as exc:
            note = rendering.printable(str(exc))
            if self._last is not None:
                self._screen.show(self._last, note)
            return note
        self._tell_why()
        for told in news.of_sight(self._last, sight):
            self._screen.tell(told)
        self._last = sight
        self._screen.show(sight)
        return ''

    def _reread(self, observer: sights.Observer) -> None:
        try:
            observer.reread_rules()
        except exceptions.ConfigError as exc:
            self._screen.line('policy', str(exc))
        else:
            self._screen.line(
                'policy', 'placement.yaml changed; SIGHUP tells the agent'
            )

    def _prove(self) -> None:
        assert self._last is not None
        regions = _regions(self._last)
        with contextlib.ExitStack() as stack:
            sites = {}
            for name in regions:
                conf = self._venue.lab.ceph_conf(name)
                sites[name] = clusters.Cluster(conf)
                stack.callback(sites[name].close)
            evidence = [
                one
                for subject in self._subjects.values()
                for one in proof.collect(subject, regions, sites)
            ]
        self._screen.prove(evidence)
        bad = [
            f'{one.name} at {one.site}' for one in evidence if not one.is_good
        ]
        if bad:
            raise errors.DemoError(f'not as promised: {", ".join(bad)}')
        copies = sum(one.copy is not None for one in evidence)
        self._screen.line(
            'proved',
            f'{copies} copies equal what was uploaded, and a copy-on-write '
            'clone of each opens; elsewhere there is none',
        )


def _describe(policy: policies.Policy) -> str:
    selection = str(policy.selection)
    places = 'all sites' if selection == 'all' else f'sites with {selection}'
    verb = 'never get' if policy.deny else 'get'
    return f'{policy.name}: {places} {verb} what has {policy.match}'


def _regions(sight: sights.Sight) -> dict[str, str]:
    return {site.name: site.labels.get('region', '') for site in sight.sites}


def _present(cells: Iterable[placements.Placement]) -> set[str]:
    return {cell.decision.site.name for cell in cells if cell.is_there}


def _verified(cells: Iterable[placements.Placement]) -> set[str]:
    return {
        cell.decision.site.name
        for cell in cells
        if cell.state is placements.State.VERIFIED
    }


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _in_background(work: Callable[[], None]) -> 'futures.Future[None]':
    """Run in a thread that nobody has to wait for."""
    future: futures.Future[None] = futures.Future()

    def run() -> None:
        try:
            work()
        except BaseException as exc:
            future.set_exception(exc)
        else:
            future.set_result(None)

    threading.Thread(target=run, name='uploads', daemon=True).start()
    return future
