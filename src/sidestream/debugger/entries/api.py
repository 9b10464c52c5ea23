"""What the REST API answers a request that it does not carry out."""

from sidestream.debugger.entry import error, warning

ENTRIES = (
    error(
        10004,
        "Too many calls at once",
        "The platform already carries as many calls as its configuration allows.",
        "Wait for calls to end, or raise `limits.calls`.",
    ),
    warning(
        20001,
        "Parameter not accepted",
        "A parameter is missing, has a value that is not allowed, or clashes with another resource; the message names "
        "the parameter. Unknown parameters are ignored without this code.",
        "Correct the named parameter and send the request again.",
    ),
    error(
        20003,
        "Not authenticated",
        "The request carries no credentials, or its account SID and auth token do not belong together.",
        "Send HTTP Basic credentials: the account SID as user name, its auth token as password.",
    ),
    error(
        20004,
        "Method not allowed",
        "The resource exists but knows no such HTTP method.",
        "Use one of the methods in the answer's `Allow` header.",
    ),
    error(
        20007,
        "Page too large",
        "PageSize is above the largest page the API returns.",
        "Ask for at most 1000 entries a page and follow `next_page_uri`.",
    ),
    error(
        20009,
        "Call not finished",
        "Only a call that has ended can be deleted.",
        "End the call first (`Status=completed`), then delete it.",
    ),
    error(
        20403,
        "Forbidden",
        "The credentials are valid but give no right to this resource, for instance of another account.",
        "Use the credentials of the account that the path names.",
    ),
    error(
        20404,
        "Not found",
        "No such resource: the path is unknown, or the account has no such call or Siprec.",
        "Check the SIDs in the path; names of Siprecs are case-sensitive.",
    ),
    error(
        20409,
        "Conflict",
        "The resource is in a state that rules the request out.",
        "Fetch the resource, look at its state, and decide anew.",
    ),
    error(
        20422,
        "Invalid parameter",
        "A parameter has a value outside its range or of the wrong type.",
        "Correct the parameter that the message names.",
    ),
    error(
        20423,
        "Invalid SID",
        "A SID is not two capital letters followed by 32 hexadecimal digits, or has the wrong prefix.",
        "Copy the SID whole from the answer that created the resource.",
    ),
    error(
        20429,
        "Too many requests",
        "The request came too soon after others and was not processed at all.",
        "Wait a moment and send it again; doubling the wait each time works best.",
    ),
    error(
        20500,
        "Internal error",
        "The platform failed while it processed the request; it is a mistake in the platform.",
        "Look for the request's time in the platform's log and report what stands there.",
    ),
    error(
        20501,
        "Call lost in a restart",
        "The control process ended without warning while the call lived, and its successor could not go on with it.",
        "See the alert's text; a call goes on if it was established and the media engine still has it.",
    ),
    error(
        20503,
        "Not available",
        "The platform is starting, draining or without its media engine, and takes no new work.",
        "Try again shortly; if it lasts, look at the platform's health page and log.",
    ),
    error(
        21201,
        "No number to call",
        "`To` is missing from the request for a call.",
        "Give `To` as a phone number with + or as a SIP URI.",
    ),
    error(
        21205,
        "Invalid URL",
        "A URL is missing or is not an absolute http or https URL; for Siprecs this is StatusCallback.",
        "Give the whole URL with scheme and host.",
    ),
    error(
        21206,
        "Invalid SendDigits",
        "SendDigits holds characters that are no DTMF digits, or more than 32 of them.",
        "Use the digits 0-9, *, #, A-D, w for half a second's wait and W for a second's.",
    ),
    error(
        21209,
        "Invalid callback method",
        "The HTTP method for a callback is neither GET nor POST.",
        "Use GET or POST, or leave the method out for POST.",
    ),
    error(
        21211,
        "Invalid To",
        "`To` is neither a phone number nor a SIP URI.",
        "Give a number such as +15558675310 or an address such as sip:desk@example.com.",
    ),
    error(
        21212,
        "Invalid From",
        "`From` is neither a phone number nor a SIP URI.",
        "Give a number such as +15558675310 or an address such as sip:desk@example.com.",
    ),
    error(
        21213,
        "No caller",
        "`From` is missing from the request for a call.",
        "Give the number or SIP URI that the called party shall see.",
    ),
    error(
        21218,
        "Invalid ApplicationSid",
        "The ApplicationSid names no application; this platform keeps none.",
        "Give `Url` or `Twiml` instead.",
    ),
    error(
        21220,
        "Invalid call state",
        "The call is not in the state that the request needs: a Siprec starts only on an answered call, and an ended "
        "call cannot be redirected.",
        "Wait until the call is in-progress, or accept that it has ended.",
    ),
    error(
        32018,
        "TwiML too long",
        "Inline TwiML is longer than 4000 characters.",
        "Shorten it, or serve it from a URL, where 64 kB are allowed.",
    ),
    warning(
        32019,
        "Both Url and Twiml given",
        "A request names a URL and inline TwiML; the URL is used and the TwiML ignored.",
        "Send only one of the two.",
    ),
)
