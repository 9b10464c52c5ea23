"""What a call is made of, and that has to know the call."""

from typing import TYPE_CHECKING
from weakref import ref

if TYPE_CHECKING:
    from sidestream.calls.call import Call


class CallPart:
    """Belongs to a call and lives no longer. It holds the call weakly.

    A circle of references would leave each call that has ended, some 200 objects, to the garbage collector; looking for
    them cost a tenth of all processor time, and stopped every other call for up to a tenth of a second.
    """

    def __init__(self, call: "Call") -> None:
        self._owner = ref(call)

    @property
    def _call(self) -> "Call":
        call = self._owner()
        assert call is not None  # nobody but the call and its tasks uses its parts
        return call
