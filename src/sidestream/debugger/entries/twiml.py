"""What is wrong with a TwiML document, or with what one of its verbs asks for."""

from sidestream.debugger.entry import error, warning

ENTRIES = (
    error(
        11750,
        "Document too large",
        "The answer with the TwiML is larger than 64 kB.",
        "Split the document and join the parts with `<Redirect>`.",
    ),
    error(
        11770,
        "Empty document",
        "The answer to a request for TwiML has an empty body.",
        "Answer with a document; `<Response/>` is the one that does nothing.",
    ),
    error(
        12100,
        "Document not well-formed",
        "The TwiML is not well-formed XML, or has a document type declaration, which is not accepted.",
        "Correct the XML at the line that the alert names.",
    ),
    error(
        12101,
        "Unsupported XML version",
        "The XML declaration names a version other than 1.0.",
        'Begin the document with `<?xml version="1.0" encoding="UTF-8"?>` or without declaration.',
    ),
    error(
        12102,
        "Wrong root element",
        "The outermost element of the document is not `<Response>`.",
        "Put the verbs inside `<Response>`; element names are case-sensitive.",
    ),
    warning(
        12200,
        "Document does not follow the schema",
        "An element or attribute is unknown, misspelt, misplaced, not supported, or has a value it cannot have. The "
        "rest of the document runs; a wrong attribute has its default.",
        "Correct what the alert names; docs/topics/twiml.md lists what there is.",
    ),
    error(
        12300,
        "Content type not accepted",
        "The answer's Content-Type is neither XML, text nor audio.",
        "Send TwiML as `text/xml` or `application/xml`.",
    ),
    error(
        12400,
        "Instruction failed",
        "The platform could not carry out an instruction of the document, for a reason of its own.",
        "Look for the call's SID in the platform's log and report what stands there.",
    ),
    error(
        13201,
        "Call cannot be dialled",
        "`<Dial>` could not begin a call to one of its targets, for a reason that the alert names.",
        "Look at the alert's text; if it speaks of media or ports, at the platform's log and limits.",
    ),
    warning(
        13223,
        "Not the form of a phone number",
        "What `<Dial>` was given as a number holds characters that no phone number has; it is not called.",
        "Write it with + and country code, digits only.",
    ),
    error(
        13224,
        "Number cannot be called",
        "`<Dial>` has nobody it could call: no number, or no trunk that takes calls to numbers.",
        "Give the account a trunk with `outbound`, or dial a SIP address with `<Sip>`.",
    ),
    warning(
        13243,
        "Invalid SIP address",
        "The text of `<Sip>` is not a SIP URI; it is not called.",
        "Write sip:user@host, with a port and parameters if needed.",
    ),
    error(
        13247,
        "Invalid caller ID",
        "The caller ID of a dialled call is neither a phone number nor a SIP user.",
        "Give a number with + and country code, or leave `callerId` out for the caller's own.",
    ),
    warning(
        13252,
        "Invalid header in a SIP address",
        "A header behind the ? of a SIP address has a name that is not allowed there; it is left out.",
        "Use names that begin with X-, or User-to-User, Remote-Party-ID, P-Preferred-Identity or P-Called-Party-ID.",
    ),
    warning(
        13253,
        "Headers of a SIP address too long",
        "The headers behind the ? of a SIP address are longer than 1023 characters; the last ones are left out.",
        "Send less, or a reference instead of the data.",
    ),
    warning(
        13254,
        "Host of a SIP address not found",
        "The host name of a dialled SIP address does not resolve to an address.",
        "Correct the name or its DNS record.",
    ),
    warning(
        13520,
        "Text cannot be spoken",
        "`<Say>` could not be turned into speech; the verb is skipped.",
        "Check that a speech synthesiser (espeak-ng) is installed on the platform's machine, and the voice's name.",
    ),
    warning(
        13710,
        "Redirect with an invalid method",
        "The `method` of `<Redirect>` is neither GET nor POST; POST is used.",
        "Correct the attribute.",
    ),
    warning(
        13810,
        "Reject with an invalid reason",
        "The `reason` of `<Reject>` is neither rejected nor busy; rejected is used.",
        "Correct the attribute.",
    ),
    warning(
        13910,
        "Pause with an invalid length",
        "The `length` of `<Pause>` is not a whole number of seconds in its range; one second is used.",
        "Correct the attribute.",
    ),
    warning(
        15003,
        "Callback answered with an error",
        "The application answered a status callback with a 4xx or 5xx status. The callback counts as delivered.",
        "Answer callbacks with 200 or 204.",
    ),
    error(
        15004,
        "URL must be absolute",
        "TwiML that was given without a URL of its own has a relative URL in it, which cannot be resolved.",
        "Write the URL with scheme and host.",
    ),
)
