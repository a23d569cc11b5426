"""What anybody on the local network can say of a master, and what the process that listens there hands on."""

import json

from group_protocol.advertisement import Advertisement, parse_advertisement
from group_protocol.errors import DecodingError
from slave_client.finding.search import parse_sighting


def fuzz_advertisements(raw: bytes) -> None:
    """A TXT record, ``key=value`` a line; a line without the sign has no value."""
    pairs = (line.partition("=") for line in raw.decode("utf-8", "replace").split("\n"))
    properties = {key: value if sign else None for key, sign, value in pairs}
    try:
        advertisement = parse_advertisement(properties)
    except DecodingError:
        return
    assert parse_advertisement(advertisement.to_properties()) == advertisement
    assert Advertisement(advertisement.master).instance.isascii()


def fuzz_sightings(raw: bytes) -> None:
    """A line of the search's process: what is taken can be shown and asked."""
    try:
        sighting = parse_sighting(raw)
    except DecodingError:
        return
    assert sighting.name.isprintable()
    assert len(sighting.master) == 20
    for place in sighting.places:
        assert 0 < place.port < 2**16
        assert json.dumps(place.host)
