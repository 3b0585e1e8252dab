"""The core in Python: what the classes of the client are derived from where there is no native one.

Each class has the interface of its twin in `native`, and does the same.
"""

from loadtest.drive._core.pure.ahead import Ahead as Ahead
from loadtest.drive._core.pure.dispatch import Dispatch as Dispatch
from loadtest.drive._core.pure.dispatch import equip_dispatch as equip_dispatch
from loadtest.drive._core.pure.line import Line as Line
from loadtest.drive._core.pure.messenger import Counts as Counts
from loadtest.drive._core.pure.messenger import Messenger as Messenger
from loadtest.drive._core.pure.messenger import Route as Route
from loadtest.drive._core.pure.messenger import Template as Template
from loadtest.drive._core.pure.messenger import equip as equip
from loadtest.drive._core.pure.received import Received as Received
from loadtest.drive._core.pure.secured import Secured as Secured
from loadtest.drive._core.pure.serving import ServingCore as ServingCore
from loadtest.drive._core.pure.serving import UserState as UserState
from loadtest.drive._core.pure.tally import Tally as Tally
from loadtest.drive._core.pure.timerfd import TimerFd as TimerFd
