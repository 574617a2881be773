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
"""dcn-distributor-agent: the service.

SIGTERM ends it within graceful_shutdown_timeout; SIGHUP re-reads sites.yaml,
placement.yaml and the options that can change at run time; SIGUSR2 has a
report on its state written.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import functools
import importlib.metadata
import logging
import multiprocessing
import os
import signal
import sys
import threading

import cotyledon
from cotyledon import oslo_config_glue
from oslo_config import cfg
from oslo_log import log

from dcn_distributor import app
from dcn_distributor import conf as configuration
from dcn_distributor import exceptions
from dcn_distributor.app import agent as agent_app
from dcn_distributor.clients import glance
from dcn_distributor.clients import reports
from dcn_distributor.clients import systemd
from dcn_distributor.clients.bus import notifications
from dcn_distributor.conf import metrics
from dcn_distributor.service import rules
from dcn_distributor.service import sights

LOG = log.getLogger(__name__)

_TO_END_S = 5.0


@dataclasses.dataclass
class LastGood:
    """What was last read and found in order.

    The master keeps it up to date: a worker that dies is replaced by a fork
    of the master, which must not fall back behind the last SIGHUP, nor fail
    where a file is broken by now.
    """

    settings: configuration.Settings
    rules: rules.Files

    def reread(self, conf: cfg.ConfigOpts) -> None:
        """Read all again; what is not in order stays as it was."""
        self.settings = _mutate(conf) or self.settings
        # The worker says so.
        with contextlib.suppress(exceptions.ConfigError):
            self.rules = app.rule_reader(self.settings)()


class AgentService(cotyledon.Service):  # type: ignore[misc]
    """The agent as a child process of cotyledon's service manager.

    All connections are made in run(), after the fork.
    """

    name = 'dcn-distributor-agent'

    def __init__(
        self,
        worker_id: int,
        conf: cfg.ConfigOpts,
        last_good: LastGood,
        stop_within_s: float,
        supervisor: systemd.Systemd,
    ) -> None:
        super().__init__(worker_id)
        self._supervisor = supervisor
        self._conf = conf
        self._last_good = last_good
        self._stop_within_s = stop_within_s
        self._built: agent_app.Built | None = None
        self._started = threading.Event()

    def run(self) -> None:
        """Start the agent; its threads go on by themselves."""
        if self._conf.log_options:
            self._conf.log_opt_values(LOG, logging.DEBUG)
        now = self._last_good
        _tell_of_rate(now.settings)
        self._built = agent_app.start_agent(
            self._conf, now.settings, now.rules, self._supervisor
        )
        self._started.set()

    def terminate(self) -> None:
        """Stop the agent, before cotyledon loses its patience."""
        if self._built is not None:
            self._built.agent.stop(self._stop_within_s)

    def reload(self) -> None:
        """Re-read what can change; copies under way go on.

        cotyledon leaves all of it to a service that has its own reload(),
        calls it while run() may still be at work, and ends the process if
        it raises.
        """
        self._started.wait()
        settings = _mutate(self._conf)
        if settings is not None and self._built is not None:
            _tell_of_rate(settings)
            self._built.agent.reload(settings.streaming.rate_bytes_s)

    def report_at_signal(self) -> None:
        """Write a report whenever SIGUSR2 comes, from now on.

        Call it in the main thread, which alone may set up signals.
        """
        made = reports.Reports(
            self._conf,
            self.name,
            importlib.metadata.version('dcn_distributor'),
            self._conf[metrics.REPORTS_GROUP].log_dir,
        )

        def write(*_: object) -> None:
            # Another thread, since one that hangs with a lock would hang
            # the main thread, too, and with it SIGTERM.
            threading.Thread(
                target=made.write,
                args=[self._report_sections],
                name='report',
                daemon=True,
            ).start()

        signal.signal(signal.SIGUSR2, write)

    def _report_sections(self) -> Mapping[str, sights.Section]:
        return {} if self._built is None else sights.report(self._built.parts)


def _begin_worker(
    service_id: object, worker_id: int, service: AgentService
) -> None:
    """Prepare a worker: cotyledon calls this there, in the main thread."""
    service.report_at_signal()


def _pass_on(number: int, _: object) -> None:
    """Send a signal on to the workers; the master has nothing to tell.

    Who does not know better sends it to the master, such as `podman kill`;
    it would end that. cotyledon makes its workers by multiprocessing, which
    knows their ids.
    """
    for worker in multiprocessing.active_children():
        if worker.pid is not None:
            os.kill(worker.pid, number)


def _tell_of_rate(settings: configuration.Settings) -> None:
    if settings.streaming.rate_bytes_s is not None:
        LOG.info(
            'Each stream takes %.0f bytes per second at most, where no '
            'policy sets another limit',
            settings.streaming.rate_bytes_s,
        )


def _mutate(conf: cfg.ConfigOpts) -> configuration.Settings | None:
    """Read the options that can change again, if all can be read."""
    try:
        return configuration.reread(conf)
    except exceptions.ConfigError as exc:
        LOG.error(
            'The changed configuration is refused and the old one stays in '
            'force: %s',
            exc,
        )
        return None


def _stop_within_s(conf: cfg.ConfigOpts) -> float:
    """How long stopping may take: less than cotyledon waits for it.

    Raises ConfigError.
    """
    try:
        timeout_s: int = conf.graceful_shutdown_timeout
    except ValueError as exc:
        raise exceptions.ConfigError(str(exc)) from exc
    if timeout_s <= 0:
        return threading.TIMEOUT_MAX
    # What is left is for the process to end, on a busy machine.
    return max(timeout_s / 2, timeout_s - _TO_END_S)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the service until it is told to stop."""
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    configuration.register_opts(conf)
    glance.register_opts(conf)
    for _, options in oslo_config_glue.list_opts():
        conf.register_opts(options)
    try:
        settings = configuration.read(conf, argv)
        last_good = LastGood(settings, app.rule_reader(settings)())
        glance.connect(conf)
        notifications.check_url(conf)
        stop_within_s = _stop_within_s(conf)
    except exceptions.ConfigError as exc:
        for problem in exc.problems:
            print(f'dcn-distributor-agent: {problem}', file=sys.stderr)  # noqa: T201
        return 2
    log.setup(conf, configuration.PROJECT)
    # NOTE: not by oslo_config_glue.setup. With cotyledon 1.7 that reads a
    # changed configuration in the worker too, which ends it if that raises.
    manager = cotyledon.ServiceManager(
        graceful_shutdown_timeout=conf.graceful_shutdown_timeout
    )
    manager.register_hooks(
        on_reload=functools.partial(last_good.reread, conf),
        on_new_worker=_begin_worker,
    )
    signal.signal(signal.SIGUSR2, _pass_on)
    supervisor = systemd.take(os.environ)
    args = (conf, last_good, stop_within_s, supervisor)
    manager.add(AgentService, workers=1, args=args)
    manager.run()
    return 0


if __name__ == '__main__':
    sys.exit(main())
