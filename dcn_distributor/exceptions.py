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
"""Every error of dcn_distributor.

::

    DistributorError
      ConfigError             a file or option is wrong       exit code 2
      TemporaryError          try again later, without end
        GlanceUnavailable     no answer, a 5xx, a time-out, too many requests
        BusUnavailable        the message bus does not answer
          AgentTooOld         it does, but by an agent that cannot do that
        AddressUnavailable    where the agent should answer is taken
        ClusterUnavailable    a Ceph cluster gives no answer in time
        SourceUnavailable     a copy cannot be read, another one may
        StoreFull             no space, or no quota, for one more copy
        ImportInProgress      another import holds the image's lock
        CopyInProgress        another process makes or repairs this copy
        AlreadyPresent        a store asked for has the image by now
      PermanentError          stop until image, policies or sites change
        ImageNotFound         no such image, or not for our eyes
        StoreUnknown          Glance does not have this store
        NotCopyable           this image cannot be imported as it is
        ImportDisabled        Glance imports no image by copy-image
        AccessDenied          the agent's user may not do this
        CopyNotFound          the cluster has no such copy to read
        OrphanInTheWay        the copy's name is taken by a stranger's image
        NotAnOrphan           what is to be removed may be in use
        LocationQuotaExceeded Glance takes no more locations for this image
        VerificationFailed    what was read or written is not the image
        Cancelled             the copy was called off
          Stopped             broken off, for somebody to go on with later

Clients raise them, `from` the foreign error. Only the reconciler turns them
into outcomes, and only cmd into exit codes. Anything else that is raised is
a bug.
"""


class DistributorError(Exception):
    """Something failed that dcn_distributor knows about."""


class ConfigError(DistributorError):
    """A configuration file or option is wrong.

    :ivar problems: one line each, beginning with file, line and column
        where they are known; all that were found, not just the first.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__('\n'.join(problems))
        self.problems = problems


class TemporaryError(DistributorError):
    """Worth trying again; nothing has to change first."""


class GlanceUnavailable(TemporaryError):
    """Glance, or Keystone before it, gave no usable answer."""


class BusUnavailable(TemporaryError):
    """The message bus cannot be reached."""


class AgentTooOld(BusUnavailable):
    """The agent that answered is of a release that does not know that."""


class AddressUnavailable(TemporaryError):
    """The address that the agent should answer at cannot be listened at."""


class ClusterUnavailable(TemporaryError):
    """A Ceph cluster does not answer, or its connection was lost."""


class SourceUnavailable(TemporaryError):
    """No target's fault: the copy that is read fails, or is not the image.

    Another source may serve, or the same one later.
    """


class StoreFull(TemporaryError):
    """A cluster, pool or quota has no space left."""


class ImportInProgress(TemporaryError):
    """Another import holds the image's lock (Glance allows one at a time)."""


class CopyInProgress(TemporaryError):
    """Another process holds the claim on this copy."""


class AlreadyPresent(TemporaryError):
    """A store asked for has the image by now: read the image and ask anew.

    Glance refuses the whole request then, the other stores included.
    """


class PermanentError(DistributorError):
    """Trying again is useless until image, policies or sites change."""


class ImageNotFound(PermanentError):
    """Glance has no such image, or does not show it to the agent."""


class StoreUnknown(PermanentError):
    """A store in sites.yaml is not one of Glance's."""


class NotCopyable(PermanentError):
    """Glance refuses to import this image as it is."""


class ImportDisabled(PermanentError):
    """Glance does not have copy-image among its enabled_import_methods."""


class AccessDenied(PermanentError):
    """The agent's user lacks a role, or a policy of Glance forbids it."""


class CopyNotFound(PermanentError):
    """A cluster has no copy of the image, or none with its snapshot."""


class OrphanInTheWay(PermanentError):
    """The name of the copy is taken by an RBD image no location leads to.

    A glance-api that died while it wrote leaves such a one (glance_store:
    _drivers/rbd.py add, which raises Duplicate from then on).
    """


class NotAnOrphan(PermanentError):
    """An RBD image is whole, watched, cloned or of unknown origin: kept."""


class LocationQuotaExceeded(PermanentError):
    """Glance refuses one more location (its option image_location_quota)."""


class VerificationFailed(PermanentError):
    """What was read is not what Glance recorded, or does not stay written."""


class Cancelled(PermanentError):
    """A copy was called off: its image is gone, or it was broken off."""


class Stopped(Cancelled):
    """A copy was broken off: the program ends, or it is not the time for it.

    What was copied is left to go on with: for the next program, or later.
    """
