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
"""A report on the state of the process: a Guru Meditation of oslo.reports.

It is put together from the parts of that library, since its own class reads
the process-wide configuration, which this project has none of, and keeps its
sections in itself.
"""

from collections.abc import Callable
from collections.abc import Mapping
import datetime
import os
from pathlib import Path
import sys
import threading

from oslo_config import cfg
from oslo_log import log
from oslo_reports import report
from oslo_reports.generators import conf as of_conf
from oslo_reports.generators import threading as of_threads
from oslo_reports.models import version as of_version
from oslo_reports.models import with_default_views

LOG = log.getLogger(__name__)

Sections = Mapping[str, Mapping[str, object]]


class Reports:
    """Writes reports of this process.

    :param name: what the process is called
    :param directory: where to; None for stderr
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        name: str,
        version: str,
        directory: str | None,
    ) -> None:
        self._conf = conf
        self._name = name
        self._version = version
        self._directory = directory

    def text(self, sections: Sections) -> str:
        """Write one, with these sections of our own; no secret is in it.

        The values of options that are secret are not shown.
        """
        made = report.TextReport('Guru Meditation')
        made.add_section(
            'Package',
            lambda: of_version.PackageModel(
                'OpenStack', self._name, self._version
            ),
        )
        # NOTE: oslo.reports has a section, too, but that needs /proc/stat,
        # which the sandbox of etc/systemd hides (ProcSubset=pid).
        made.add_section('Process', _model(_process()))
        for title, values in sections.items():
            made.add_section(title, _model(values))
        made.add_section('Threads', of_threads.ThreadReportGenerator())
        made.add_section(
            'Configuration', of_conf.ConfigReportGenerator(self._conf)
        )
        return str(made.run())

    def write(self, sections: Callable[[], Sections]) -> None:
        """Write one to where they go; never raises."""
        try:
            text = self.text(sections())
            if self._directory is None:
                print(text, file=sys.stderr, flush=True)  # noqa: T201
                return
            path = Path(self._directory) / self._file_name()
            opener = lambda file, flags: os.open(file, flags, 0o600)  # noqa: E731
            with open(path, 'x', opener=opener) as file:
                file.write(text)
        except Exception:
            LOG.exception('The report cannot be written')
        else:
            LOG.info('A report was written to %s', path)

    def _file_name(self) -> str:
        """Name a file as oslo.reports does; one each microsecond."""
        now = datetime.datetime.now(datetime.timezone.utc)
        return f'{self._name}_gurumeditation_{now:%Y%m%d%H%M%S%f}'


def _process() -> Mapping[str, object]:
    return {
        'id': os.getpid(),
        'parent': os.getppid(),
        'user': os.getuid(),
        'threads': threading.active_count(),
    }


def _model(
    values: Mapping[str, object],
) -> Callable[[], with_default_views.ModelWithDefaultViews]:
    shown = values or {'nothing': 'to tell'}
    return lambda: with_default_views.ModelWithDefaultViews(shown)
