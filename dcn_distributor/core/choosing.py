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
3. If copy-image cannot serve, or has failed too often in a row, or the
   image's import lock is stuck, rbd-stream takes over where it can.
4. Where it cannot, copy-image goes on as long as it may still succeed.

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
    :ivar fallback_after: how many failures of copy-image in a row, for one
        image and store, make rbd-stream take over; at least 1
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
    :ivar is_lock_stuck: whether an import that gives no sign of life holds
        the image's lock
    :ivar stream_obstacles: every precondition of rbd-stream that is unmet
    """

    copy_image_obstacle: str | None = None
    copy_image_failures: int = 0
    last_failure: str = ''
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
    against_copying = _against_copy_image(options, now)
    against_streaming = _against_rbd_stream(options, now)
    if options.prefer_rbd_stream and not against_streaming:
        return Choice(RBD_STREAM, 'rbd-stream is preferred')
    if not against_copying:
        reason = 'copy-image goes first'
        if options.prefer_rbd_stream:
            reason = f'rbd-stream is preferred, but {against_streaming}'
        return Choice(COPY_IMAGE, reason)
    if not against_streaming:
        return Choice(RBD_STREAM, f'rbd-stream takes over: {against_copying}')
    if COPY_IMAGE in options.engines and now.copy_image_obstacle is None:
        return Choice(
            COPY_IMAGE,
            f'copy-image goes on, nothing can take over: {against_copying}; '
            f'{against_streaming}',
        )
    return Choice(
        None,
        f'no engine can serve: {against_copying}; {against_streaming}',
        passes=RBD_STREAM in options.engines
        and _all_pass(now.stream_obstacles),
    )


def _against_copy_image(options: Options, now: Circumstances) -> str:
    if COPY_IMAGE not in options.engines:
        return 'copy-image is not enabled in [copy]'
    against = [
        f'copy-image cannot serve: {obstacle}'
        for obstacle in _one_or_none(now.copy_image_obstacle)
    ]
    if now.copy_image_failures >= options.fallback_after:
        against.append(_failures(now))
    if now.is_lock_stuck:
        against.append("a stuck import holds the image's lock")
    return '; '.join(against)


def _against_rbd_stream(options: Options, now: Circumstances) -> str:
    if RBD_STREAM not in options.engines:
        return 'rbd-stream is not enabled in [copy]'
    if now.stream_obstacles:
        return f'rbd-stream cannot serve: {"; ".join(now.stream_obstacles)}'
    return ''


def _failures(now: Circumstances) -> str:
    count = now.copy_image_failures
    times = 'once' if count == 1 else f'{count} times in a row'
    last = f', the last time: {now.last_failure}' if now.last_failure else ''
    return f'copy-image failed {times}{last}'
