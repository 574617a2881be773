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
"""Which engine makes a copy, and why: copy-image or rbd-stream.

1. A policy that names an engine gets that one or none, never the other.
2. Otherwise copy-image goes first, or rbd-stream if the operator prefers it
   and nothing is in its way.
3. The other takes over if the first cannot serve, or has failed too often
   in a row and more often than the other: so neither is given up for good,
   and while both fail, they take turns. If the image's import lock is stuck,
   rbd-stream takes over where it can.
4. Where nothing can take over, the first goes on as long as it may still
   succeed.

Nothing here looks at Glance or a cluster: whoever asks has done that.
"""

import dataclasses

from dcn_distributor.core import transfers

COPY_IMAGE = transfers.EngineChoice.COPY_IMAGE.value
RBD_STREAM = transfers.EngineChoice.RBD_STREAM.value

ENGINES = (COPY_IMAGE, RBD_STREAM)


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """What the operator lets be used; the defaults are those of [copy].

    :ivar engines: those that may be used at all, of ENGINES
    :ivar prefer_rbd_stream: whether it goes first where it can
    :ivar fallback_after: how many failures of an engine in a row, for one
        image and store, make the other take over; at least 1
    """

    engines: tuple[str, ...] = ENGINES
    prefer_rbd_stream: bool = False
    fallback_after: int = 2


class Passing(str):
    """An obstacle that passes by itself, or is put right far from here.

    Such as a cluster that does not answer. It is a text like all obstacles;
    whoever can wait, waits for its end.
    """

    __slots__ = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known of one image and one store at this moment.

    Obstacles are told as clauses in words for an operator, such as
    ``Glance has the method copy-image disabled``.

    :ivar copy_image_obstacle: why a request would be refused, whatever the
        image's history; None if nothing is known to be in the way
    :ivar copy_image_failures: how often it has failed in a row
    :ivar last_failure: what the last of these said
    :ivar stream_failures: how often rbd-stream has failed in a row
    :ivar last_stream_failure: what the last of these said
    :ivar is_lock_stuck: whether an import that gives no sign of life holds
        the image's lock
    :ivar stream_obstacles: every precondition of rbd-stream that is unmet
    """

    copy_image_obstacle: str | None = None
    copy_image_failures: int = 0
    last_failure: str = ''
    stream_failures: int = 0
    last_stream_failure: str = ''
    is_lock_stuck: bool = False
    stream_obstacles: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """The engine, None if none can serve, and always why.

    :ivar passes: whether one that cannot serve now will, without anybody's
        doing here
    """

    engine: str | None
    reason: str
    passes: bool = False


def choose(
    wish: transfers.EngineChoice | None,
    options: Options,
    circumstances: Circumstances,
    *,
    is_order: bool = False,
) -> Choice:
    """Choose for one image and one store. `wish` None is AUTO.

    With `is_order` it is an operator's wish, not one of the policies.
    """
    if wish is None or wish is transfers.EngineChoice.AUTO:
        return _choose(options, circumstances)
    if is_order:
        asked = f'the order is for {wish.value}'
        instead = 'order it by another'
    else:
        asked = f'the policies ask for {wish.value}'
        instead = 'let transfer.engine in the policy be auto'
    return _honour(wish.value, options, circumstances, asked, instead)


def _honour(
    engine: str,
    options: Options,
    now: Circumstances,
    asked: str,
    instead: str,
) -> Choice:
    if engine not in options.engines:
        return Choice(
            None,
            f'{asked}, which is not enabled: add it to engines in [copy], or '
            f'{instead}',
        )
    obstacles = now.stream_obstacles
    if engine == COPY_IMAGE:
        obstacles = _one_or_none(now.copy_image_obstacle)
    if not obstacles:
        return Choice(engine, asked)
    told = '; '.join(obstacles)
    if _all_pass(obstacles):
        return Choice(
            None, f'{asked}, which cannot serve yet: {told}', passes=True
        )
    return Choice(
        None,
        f'{asked}, which cannot serve: {told}. Put that right, or {instead}',
    )


def _all_pass(obstacles: tuple[str, ...]) -> bool:
    return all(isinstance(one, Passing) for one in obstacles)


def _one_or_none(obstacle: str | None) -> tuple[str, ...]:
    return () if obstacle is None else (obstacle,)


def _choose(options: Options, now: Circumstances) -> Choice:
    no_copying = _bar_to_copy_image(options, now)
    no_streaming = _bar_to_rbd_stream(options, now)
    if no_copying and no_streaming:
        return Choice(
            None,
            f'no engine can serve: {no_copying}; {no_streaming}',
            passes=RBD_STREAM in options.engines
            and _all_pass(now.stream_obstacles),
        )
    if options.prefer_rbd_stream and not no_streaming:
        return _stream_first(options, now, no_copying)
    return _copy_first(options, now, no_copying, no_streaming)


def _stream_first(
    options: Options, now: Circumstances, no_copying: str
) -> Choice:
    """Choose where rbd-stream is preferred and can serve."""
    against = ''
    if (
        now.stream_failures >= options.fallback_after
        and now.copy_image_failures < now.stream_failures
    ):
        against = _stream_failures(now)
    if not against:
        return Choice(RBD_STREAM, 'rbd-stream is preferred')
    no_copying = no_copying or _stuck(now)
    if no_copying:
        return Choice(
            RBD_STREAM,
            f'rbd-stream goes on, nothing can take over: {against}; '
            f'{no_copying}',
        )
    return Choice(COPY_IMAGE, f'copy-image takes over: {against}')


def _copy_first(
    options: Options, now: Circumstances, no_copying: str, no_streaming: str
) -> Choice:
    """Choose where copy-image goes first, by preference or by necessity."""
    reasons = [no_copying, _stuck(now)]
    if now.copy_image_failures >= options.fallback_after and (
        no_streaming or now.stream_failures < now.copy_image_failures
    ):
        reasons.insert(1, _copy_image_failures(now))
    against = '; '.join(filter(None, reasons))
    if not against:
        reason = 'copy-image goes first'
        if options.prefer_rbd_stream:
            reason = f'rbd-stream is preferred, but {no_streaming}'
        return Choice(COPY_IMAGE, reason)
    if not no_streaming:
        return Choice(RBD_STREAM, f'rbd-stream takes over: {against}')
    return Choice(
        COPY_IMAGE,
        f'copy-image goes on, nothing can take over: {against}; '
        f'{no_streaming}',
    )


def _bar_to_copy_image(options: Options, now: Circumstances) -> str:
    """Say why copy-image cannot serve at all; empty if it can."""
    if COPY_IMAGE not in options.engines:
        return 'copy-image is not enabled in [copy]'
    if now.copy_image_obstacle is not None:
        return f'copy-image cannot serve: {now.copy_image_obstacle}'
    return ''


def _bar_to_rbd_stream(options: Options, now: Circumstances) -> str:
    """Say why rbd-stream cannot serve at all; empty if it can."""
    if RBD_STREAM not in options.engines:
        return 'rbd-stream is not enabled in [copy]'
    if now.stream_obstacles:
        return f'rbd-stream cannot serve: {"; ".join(now.stream_obstacles)}'
    return ''


def _stuck(now: Circumstances) -> str:
    return "a stuck import holds the image's lock" if now.is_lock_stuck else ''


def _copy_image_failures(now: Circumstances) -> str:
    return _failures(COPY_IMAGE, now.copy_image_failures, now.last_failure)


def _stream_failures(now: Circumstances) -> str:
    return _failures(RBD_STREAM, now.stream_failures, now.last_stream_failure)


def _failures(engine: str, count: int, last_failure: str) -> str:
    times = 'once' if count == 1 else f'{count} times in a row'
    last = f', the last time: {last_failure}' if last_failure else ''
    return f'{engine} failed {times}{last}'
