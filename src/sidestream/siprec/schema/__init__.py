"""The XML schema of RFC 7865 §9. Used by tests and the demo, never on a call's way: nothing here is pure."""

from importlib.resources import files

from lxml import etree


def load_schema() -> etree.XMLSchema:
    """The schema, ready to validate. It is read from the package; nothing is fetched."""
    path = files(__name__) / "rs-metadata-offline.xsd"
    return etree.XMLSchema(etree.parse(str(path), etree.XMLParser(no_network=True)))


def schema_problems(xml: bytes, schema: etree.XMLSchema | None = None) -> list[str]:
    """What the schema finds wrong with a metadata document of our own making; [] when it is valid."""
    schema = schema if schema is not None else load_schema()
    try:
        document = etree.fromstring(xml, etree.XMLParser(no_network=True, resolve_entities=False, load_dtd=False))
    except etree.XMLSyntaxError as error:
        return [str(error)]
    return [] if schema.validate(document) else str(schema.error_log).splitlines()
