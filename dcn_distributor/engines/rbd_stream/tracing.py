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
"""Carries what is logged of an image's event into threads of a transfer.

oslo.context keeps the context that oslo.log writes down for each thread
(oslo_context.context._request_store); a new thread has none.
"""

from collections.abc import Callable
from typing import ParamSpec

from oslo_context import context

P = ParamSpec('P')


def carried(work: Callable[P, None]) -> Callable[P, None]:
    """Make it run, in whatever thread, in the context of this moment."""
    here = context.get_current()

    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        if here is not None:
            here.update_store()
        work(*args, **kwargs)

    return run
