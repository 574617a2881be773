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
"""Make SQLite wait for its turn, in the servers of the lab.

Imported by the servers, in their own virtual environment. oslo.db begins
each transaction with a plain BEGIN: it reads first and asks to write later,
and SQLite refuses that at once with "database is locked" if another
connection wrote in between, whatever the timeout. With BEGIN IMMEDIATE a
transaction waits at its start instead, up to the timeout in the URL.
"""

from typing import Any

import sqlalchemy  # type: ignore[import-not-found]
import sqlalchemy.engine  # type: ignore[import-not-found]
import sqlalchemy.event  # type: ignore[import-not-found]


@sqlalchemy.event.listens_for(sqlalchemy.engine.Engine, 'begin')  # type: ignore[untyped-decorator]
def _begin_immediate(connection: Any) -> None:
    """Begin before oslo.db's own handler, which then does nothing."""
    if connection.dialect.name != 'sqlite':
        return
    if 'in_transaction' not in connection.info:
        connection.execute(sqlalchemy.text('BEGIN IMMEDIATE'))
        connection.info['in_transaction'] = True
