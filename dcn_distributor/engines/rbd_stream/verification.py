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
"""Compares copies with a source, chunk by chunk, and repairs them if asked.

The OSDs of both ends compute, so hardly anything crosses the link. It is a
pass of the pipeline like any other, over copies that take no writes: a chunk
the pipeline would send is one that differs. Each is looked at more closely
then, and written in a second pass if it is to be repaired.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from concurrent import futures
import dataclasses
import hashlib
import time

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import sites
from dcn_distributor.core import storage
from dcn_distributor.core import token_bucket
from dcn_distributor.core import transfers
from dcn_distributor.engines.rbd_stream import chunks as chunking
from dcn_distributor.engines.rbd_stream import drive as drives
from dcn_distributor.engines.rbd_stream import inspected
from dcn_distributor.engines.rbd_stream import link_rates
from dcn_distributor.engines.rbd_stream import narrowing
from dcn_distributor.engines.rbd_stream import pipeline as pipelines
from dcn_distributor.engines.rbd_stream import pipeline_rules
from dcn_distributor.engines.rbd_stream import sources

_UnderWay = tuple[Sequence[sites.SiteName], pipelines.Pipeline]


@dataclasses.dataclass(frozen=True, slots=True)
class Suspect:
    """A copy to be compared."""

    site: sites.SiteName
    store: images.StoreId
    cluster: storage.Cluster


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of one copy.

    :ivar compared_bytes: of the image, by checksums unless a note says else
    :ivar error: why it could not be compared, or repaired, to the end
    """

    site: sites.SiteName
    store: images.StoreId
    size_bytes: int
    compared_bytes: int
    damages: tuple[transfers.Damage, ...] = ()
    notes: tuple[str, ...] = ()
    error: exceptions.DistributorError | None = None

    @property
    def is_good(self) -> bool:
        """True if the copy is the source's now, byte for byte."""
        return self.error is None and all(d.is_repaired for d in self.damages)


class Verification:
    """See the module.

    :param reads_source: whether the whole source is read, and its hash
        compared with the one Glance recorded
    """

    def __init__(
        self,
        image: images.Image,
        source: sources.Opened,
        suspects: Sequence[Suspect],
        tuning: transfers.Tuning,
        *,
        reads_source: bool,
    ) -> None:
        self._image = image
        self._source = source
        self.suspects = suspects
        self._tuning = tuning
        self._reads_source = reads_source
        self._pipeline: pipelines.Pipeline | None = None
        self._under_way: _UnderWay | None = None
        # Of copies whose object map would deny what a repair writes: all
        # objects that exist once it is done.
        self._objects: dict[sites.SiteName, set[int]] = {}

    def progress(self) -> Mapping[sites.SiteName, int]:
        """How many bytes are compared of each copy that is under way.

        May be called from any thread.
        """
        if self._under_way is None:
            return {}
        names, pipeline = self._under_way
        return {
            name: lane.settled_bytes
            for name, lane in zip(names, pipeline.lanes, strict=True)
        }

    def compare(self) -> list[Verdict]:
        """Compare all copies at once."""
        with futures.ThreadPoolExecutor(len(self.suspects) or 1) as pool:
            opened = [*pool.map(self._open, self.suspects)]
        try:
            return self._compare(opened)
        finally:
            for copy in opened:
                if isinstance(copy, inspected.Inspected):
                    copy.close()

    def repair(self, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """Write what differs, in place, and compare that again.

        `verdicts` MUST be those of compare().
        """
        return [
            self._repair(suspect, verdict)
            if verdict.damages and verdict.error is None
            else verdict
            for suspect, verdict in zip(self.suspects, verdicts, strict=True)
        ]

    # -- comparing

    def _open(
        self, suspect: Suspect
    ) -> inspected.Inspected | exceptions.DistributorError:
        try:
            snapshot = suspect.cluster.open_snapshot(self._image.id)
        except exceptions.DistributorError as exc:
            return exc
        if snapshot.size_bytes == self._image.size_bytes:
            return inspected.Inspected(snapshot)
        snapshot.close()
        return exceptions.VerificationFailed(
            f'the copy has {snapshot.size_bytes} bytes, and the image '
            f'{self._image.size_bytes}'
        )

    def _compare(
        self,
        opened: Sequence[inspected.Inspected | exceptions.DistributorError],
    ) -> list[Verdict]:
        copies = [c for c in opened if isinstance(c, inspected.Inspected)]
        names = [
            suspect.site
            for suspect, one in zip(self.suspects, opened, strict=True)
            if isinstance(one, inspected.Inspected)
        ]
        lost = self._pass(names, copies, expected_hash=self._expected_hash())
        assert self._pipeline is not None
        verdicts = []
        for suspect, one in zip(self.suspects, opened, strict=True):
            if isinstance(one, exceptions.DistributorError):
                verdict = self._verdict(suspect, error=one)
            else:
                number = copies.index(one)
                lane = self._pipeline.lanes[number]
                if one.is_hollow:
                    self._objects[suspect.site] = lane.objects(
                        one.object_bytes
                    )
                verdict = self._verdict(
                    suspect,
                    compared_bytes=lane.settled_bytes,
                    damages=narrowing.damages(
                        self._source.readable, one, is_lost=number in lost
                    ),
                    notes=_notes(one),
                    error=lost.get(number),
                )
            verdicts.append(verdict)
        return verdicts

    def _verdict(self, suspect: Suspect, **found: object) -> Verdict:
        blank = Verdict(
            suspect.site, suspect.store, self._image.size_bytes or 0, 0
        )
        return dataclasses.replace(blank, **found)  # type: ignore[arg-type]

    def _expected_hash(self) -> str | None:
        if not self._reads_source:
            return None
        algo, value = self._image.hash_algo, self._image.hash_value
        if value is None or algo not in hashlib.algorithms_available:
            raise exceptions.VerificationFailed(
                f'Glance recorded no hash of image {self._image.id} that can '
                'be computed here'
            )
        return value

    def _pass(
        self,
        names: Sequence[sites.SiteName],
        copies: Sequence[storage.Copy],
        *,
        expected_hash: str | None = None,
        proves: bool = False,
    ) -> dict[int, exceptions.DistributorError]:
        """Run a pipeline over copies; say which were not finished, and why."""
        source = self._source.readable
        chunks = chunking.cut(
            source.size_bytes,
            min(
                self._tuning.chunk_bytes,
                source.object_bytes,
                *(copy.object_bytes for copy in copies),
            ),
            source.extents(),
        )
        pipeline = pipelines.Pipeline(
            chunks,
            pipeline_rules.Rules(
                window_bytes=self._tuning.window_bytes,
                patience_s=self._tuning.patience_s,
                timeout_s=self._tuning.timeout_s,
                expected_hash=expected_hash,
                proves=proves,
                source_sums=source.checksum_obstacle is None,
            ),
            token_bucket.TokenBucket(self._tuning.rate_bytes_s),
            link_rates.unlimited(len(copies)),
        )
        self._pipeline = pipeline
        self._under_way = names, pipeline
        lost: dict[int, exceptions.DistributorError] = {}

        def was_lost(number: int, error: exceptions.DistributorError) -> None:
            if error is pipeline.source_error:
                error = sources.blame(self._source.store, error, is_last=True)
            lost[number] = error

        drive = drives.Drive(
            chunks,
            pipeline,
            source,
            drives.ThreadedHasher(chunks, self._image.hash_algo or '')
            if expected_hash
            else None,
            filled=lambda number: None,
            lost=was_lost,
            clock=time.monotonic,
        )
        for number, copy in enumerate(copies):
            drive.attach(number, copy)
        drive.run()
        return lost

    # -- repairing

    def _repair(self, suspect: Suspect, verdict: Verdict) -> Verdict:
        try:
            copy = suspect.cluster.open_published(self._image.id)
            try:
                self._fill(suspect, copy)
            finally:
                copy.close()
        except exceptions.DistributorError as exc:
            return dataclasses.replace(verdict, error=exc)
        return dataclasses.replace(
            verdict,
            damages=tuple(
                dataclasses.replace(damage, is_repaired=True)
                for damage in verdict.damages
            ),
        )

    def _fill(self, suspect: Suspect, copy: storage.Copy) -> None:
        """Write what differs, and give up the claim.

        The map goes first: what it denies nobody would ever see, and an
        object that it names too early reads as zeros, as before.
        """
        if suspect.site in self._objects:
            copy.record_objects(self._objects[suspect.site])
        lost = self._pass([suspect.site], [copy], proves=True)
        if lost:
            raise lost[0]
        copy.release()


def _notes(copy: inspected.Inspected) -> tuple[str, ...]:
    if copy.checksum_obstacle is None:
        return ()
    return (f'compared by reading it: {copy.checksum_obstacle}',)
