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
"""The command line of the demo, and what becomes of errors and Ctrl-C."""

import argparse
from collections.abc import Sequence
import logging
import os
import signal
import sys
import traceback

from glanceclient import exc as glance_exc

from dcn_distributor import exceptions
from demo import errors
from demo import screens
from demo import story
from lab import errors as lab_errors

DONE = 0
FAILED = 1
INTERRUPTED = 130
_OUTCOMES = {DONE: 'done', FAILED: 'failed', INTERRUPTED: 'interrupted'}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return the exit code."""
    options = _parser().parse_args(arguments)
    _end_in_good_order_on_signals()
    # What libraries say of themselves would tear the picture apart.
    logging.getLogger().addHandler(logging.NullHandler())
    screen = screens.Screen()
    show = story.Story(screen)
    code = _play(show, screen, options.once)
    if code == FAILED and options.keep:
        show.leave()
        return code
    # From here on Ctrl-C would only leave half of it behind.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        show.take_down()
    except Exception as exc:
        screen.complain(f'not all could be taken down: {_describe(exc)}')
        code = code or FAILED
    screen.sum_up(_OUTCOMES[code])
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='tools/demo', description='See tools/demo --help.'
    )
    parser.add_argument('--once', action='store_true')
    parser.add_argument('--keep', action='store_true')
    return parser


def _end_in_good_order_on_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def _play(show: story.Story, screen: screens.Screen, once: bool) -> int:
    try:
        show.play()
    except (KeyboardInterrupt, lab_errors.Cancelled):
        screen.complain('interrupted')
        return INTERRUPTED
    except Exception as exc:
        screen.complain(_describe(exc))
        show.tell_logs()
        return FAILED
    if not once:
        try:
            show.stay()
        except KeyboardInterrupt:
            screen.blank()
        except Exception as exc:
            screen.complain(_describe(exc))
            show.tell_logs()
            return FAILED
    return DONE


def _describe(exc: Exception) -> str:
    """Say what failed; only a bug is worth a traceback."""
    known = (
        errors.DemoError,
        lab_errors.LabError,
        glance_exc.BaseException,
        exceptions.DistributorError,
        OSError,
    )
    if isinstance(exc, known):
        return str(exc)
    return ''.join(traceback.format_exception(exc)).rstrip()


if __name__ == '__main__':
    code = main()
    sys.stdout.flush()
    # A thread may hang in a library that waits for a server we have ended.
    os._exit(code)
