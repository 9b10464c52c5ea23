"""The sampler's places put together: by room of the house, and the functions that take most."""

from collections.abc import Mapping

CALL_ROOMS = ("sip", "sdp", "siprec", "wire", "calls", "recording")  # what a call is made of, without its books
_SHOWN = 40


def by_room(places: Mapping[str, float]) -> list[tuple[str, float]]:
    """Seconds by room, the rooms of signalling first and with their sum, then the others."""
    rooms: dict[str, float] = {}
    for place, spent_s in places.items():
        room = place.partition("/")[0] if "/" in place else place
        rooms[room] = rooms.get(room, 0.0) + spent_s
    inner = [(room, rooms.pop(room, 0.0)) for room in CALL_ROOMS]
    outer = sorted(rooms.items(), key=lambda pair: -pair[1])
    total_s = sum(places.values())
    return [*inner, ("= rooms of SIP and calls", sum(s for _, s in inner)), *outer, ("= all", total_s)]


def most_expensive(places: Mapping[str, float]) -> list[tuple[str, float]]:
    """The places that took most, the most expensive first."""
    return sorted(places.items(), key=lambda pair: -pair[1])[:_SHOWN]
