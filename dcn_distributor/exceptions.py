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
        ImportInProgress      another import holds the image's lock
        AlreadyPresent        a store asked for has the image by now
      PermanentError          stop until image, policies or sites change
        ImageNotFound         no such image, or not for our eyes
        StoreUnknown          Glance does not have this store
        NotCopyable           this image cannot be imported as it is
        AccessDenied          the agent's user may not do this

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


class ImportInProgress(TemporaryError):
    """Another import holds the image's lock (Glance allows one at a time)."""


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


class AccessDenied(PermanentError):
    """The agent's user lacks a role, or a policy of Glance forbids it."""
