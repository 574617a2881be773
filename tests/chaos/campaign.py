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
"""One run from the first agent to the judgement."""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import datetime
import json
from pathlib import Path
import sqlite3
import subprocess
import sys
import threading

from glanceclient.v2 import client as glance_client

from lab import deployment
from tests import labs
from tests import waiting
from tests.chaos import faults
from tests.chaos import journal
from tests.chaos import judgement
from tests.chaos import owners
from tests.chaos import plans
from tests.integration import clouds
from tests.integration import fleets

SITES = ('dcn0', 'dcn1', 'dcn2')
# By when the world has to be as wanted, after the last fault is healed.
SETTLED_S = 300.0
_ANSWER_S = 30.0
_AT_ONCE = 6
_TELL_S = 10.0
_OPTIONS = {
    ('agent', 'resync_interval'): '10',
    ('copy', 'remove_orphans'): 'true',
    ('copy_image', 'stall_timeout'): '15',
    ('rbd_stream', 'cluster_timeout'): '5',
    # Slow enough for a copy to be caught in the middle.
    ('rbd_stream', 'rate'): '16MiB',
}


@dataclasses.dataclass(frozen=True, slots=True)
class Scale:
    """How much is to happen."""

    seed: int
    duration_s: float
    images: int


class Campaign:
    """See the module."""

    def __init__(
        self, lab: deployment.Lab, cloud: clouds.Cloud, scale: Scale
    ) -> None:
        self._lab = lab
        self._cloud = cloud
        self._scale = scale
        self._journal = journal.Journal()
        edges = cloud.edges
        self._fleet = fleets.Fleet(cloud, _OPTIONS, plans.policies(edges))
        self._session = lab.credentials('admin').session()
        self._session.timeout = _ANSWER_S
        self._glance = glance_client.Client(session=self._session)
        self._records = [
            owners.Record(life)
            for life in plans.lives(
                scale.seed, scale.images, edges, scale.duration_s
            )
        ]

    def close(self) -> None:
        """Let go of Glance."""
        self._session.session.close()

    def run(self) -> list[str]:
        """Let it all happen; tell what is wrong in the end."""
        self._fleet.start()
        self._journal = journal.Journal()
        self._journal.say(
            f'seed {self._scale.seed}: {self._scale.images} images in '
            f'{self._scale.duration_s:.0f} s'
        )
        return self._happen() or self._judge()

    def _happen(self) -> list[str]:
        """Carry out the plan; tell what could not be."""
        is_over = threading.Event()
        gate = threading.Semaphore(_AT_ONCE)
        all_owners = [
            owners.Owner(
                record,
                self._glance,
                self._cloud.edges,
                self._journal,
                gate,
                is_over,
            )
            for record in self._records
        ]
        living = [
            threading.Thread(target=owner.live, daemon=True)
            for owner in all_owners
        ]
        saboteur = faults.Saboteur(
            self._lab, self._fleet.agents, self._journal, is_over
        )
        targets = plans.targets(tuple(self._fleet.agents), self._cloud.edges)
        duration_s = self._scale.duration_s
        saboteur.start(plans.faults(self._scale.seed, targets, duration_s))
        for thread in living:
            thread.start()
        while (left_s := duration_s - self._journal.now_s) > 0:
            is_over.wait(min(left_s, _TELL_S))
            self._journal.say(self._journal.counts())
        is_over.set()
        self._journal.say('all is healed from now on')
        failures = saboteur.join()
        self._end_dead_imports(saboteur.glance_ended)
        for thread in living:
            thread.join()
        return failures + [o.failure for o in all_owners if o.failure]

    def _judge(self) -> list[str]:
        """Wait for the world to be as wanted, then look at all of it."""
        judge = judgement.Judge(self._lab, self._glance, self._records)
        with contextlib.closing(judge):
            begun_s = self._journal.now_s
            found = self._settle(judge)
            if found:
                return found
            self._journal.say(
                f'as wanted after {self._journal.now_s - begun_s:.0f} s: '
                f'{len(judge.living)} images, {len(judge.dead)} deleted; now '
                'their bytes'
            )
            return judge.flaws() + self._clean(judge)

    def _settle(self, judge: judgement.Judge) -> list[str]:
        end_s = self._journal.now_s + SETTLED_S
        told_s = 0.0
        while found := judge.missing():
            if self._journal.now_s > end_s:
                return found
            if self._journal.now_s - told_s > _TELL_S:
                told_s = self._journal.now_s
                self._journal.say(
                    f'{len(found)} to come: {judgement.first_of(found)}'
                )
            waiting.passes(1.0)
        return []

    def _clean(self, judge: judgement.Judge) -> list[str]:
        """Have what nobody lists removed, as an operator would.

        Glance leaves what it was writing, and may have written it whole;
        such a copy is kept, since nobody can tell whose it is.
        """
        for image_id, sites in judge.remains().items():
            told = self._run_clean(image_id, sites)
            self._journal.say(f'{image_id} was left at {sites}: {told}')
        return [
            f'{image_id} is at {sites} after clean, where Glance lists none'
            for image_id, sites in judge.remains().items()
            if image_id not in judge.imported
        ]

    def _run_clean(self, image_id: str, sites: Sequence[str]) -> str:
        program = Path(sys.executable).with_name('dcn-distributor')
        conf = next(iter(self._fleet.agents.values())).conf_file
        ran = subprocess.run(
            [
                *(program, '--config-file', conf, 'clean', image_id),
                *(*sites, '--yes', '-f', 'json'),
            ],
            check=False,
            capture_output=True,
            text=True,
        )
        # 1 also says that nothing of what was found may go.
        if not ran.stdout:
            return f'clean failed: {ran.stderr}'
        return '; '.join(
            f'{row["what"]} {row["outcome"]}: {row["reason"]}'
            for row in json.loads(ran.stdout)
        )

    def _end_dead_imports(self, ended: datetime.datetime) -> None:
        """Take the locks of imports that died with a Glance from images.

        Glance and agents would do so after an hour, by its clock and by
        theirs; tests/contract has that.

        :param ended: before when all imports are dead
        """
        path = self._lab.directory / 'glance' / 'data' / 'glance.db'
        before = f'{ended:%Y-%m-%d %H:%M:%S.%f}'
        connection = sqlite3.connect(path, timeout=60.0)
        with contextlib.closing(connection), connection:
            dropped = connection.execute(
                'DELETE FROM image_properties '
                "WHERE name = 'os_glance_import_task' AND value IN "
                f'(SELECT id FROM tasks WHERE {_DEAD})',
                (before,),
            )
        self._journal.say(f'{dropped.rowcount} imports had died, and locked')


# One that failed for want of the database or the bus keeps its lock, too.
_DEAD = "status = 'failure' OR status != 'success' AND updated_at < ?"


@contextlib.contextmanager
def stage(directory: Path, scale: Scale) -> Iterator[Campaign]:
    """Make all that a campaign needs, in a directory that is there.

    What an error leaves there is ended, and kept to be looked at.
    """
    with labs.of_several(directory / 'lab', SITES, keeps=True) as lab:
        cloud = clouds.Cloud(lab, directory)
        with (
            contextlib.closing(cloud),
            contextlib.closing(Campaign(lab, cloud, scale)) as campaign,
        ):
            yield campaign
