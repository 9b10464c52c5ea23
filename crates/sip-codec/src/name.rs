//! Header field names, under any spelling (RFC 3261 §7.3.1, §7.3.3).

use crate::lexis::is_token;

macro_rules! known_names {
    ($($name:ident = $text:literal),* $(,)?) => {
        /// A name that the reference knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        #[allow(missing_docs)] // each is its own documentation
        pub enum Known {
            $($name),*
        }

        /// Every known name.
        pub const KNOWN: &[Known] = &[$(Known::$name),*];

        const TEXTS: &[&str] = &[$($text),*];
    };
}

known_names! {
    Accept = "Accept",
    AcceptContact = "Accept-Contact",
    AcceptEncoding = "Accept-Encoding",
    AcceptLanguage = "Accept-Language",
    AlertInfo = "Alert-Info",
    Allow = "Allow",
    AllowEvents = "Allow-Events",
    AuthenticationInfo = "Authentication-Info",
    Authorization = "Authorization",
    CallId = "Call-ID",
    CallInfo = "Call-Info",
    Contact = "Contact",
    ContentDisposition = "Content-Disposition",
    ContentEncoding = "Content-Encoding",
    ContentLanguage = "Content-Language",
    ContentLength = "Content-Length",
    ContentType = "Content-Type",
    CSeq = "CSeq",
    Date = "Date",
    Diversion = "Diversion",
    ErrorInfo = "Error-Info",
    Event = "Event",
    Expires = "Expires",
    From = "From",
    HistoryInfo = "History-Info",
    Identity = "Identity",
    IdentityInfo = "Identity-Info",
    InReplyTo = "In-Reply-To",
    InfoPackage = "Info-Package",
    Join = "Join",
    MaxForwards = "Max-Forwards",
    MimeVersion = "MIME-Version",
    MinExpires = "Min-Expires",
    MinSe = "Min-SE",
    Organization = "Organization",
    PAssertedIdentity = "P-Asserted-Identity",
    PChargingVector = "P-Charging-Vector",
    PEarlyMedia = "P-Early-Media",
    PPreferredIdentity = "P-Preferred-Identity",
    Path = "Path",
    Priority = "Priority",
    Privacy = "Privacy",
    ProxyAuthenticate = "Proxy-Authenticate",
    ProxyAuthorization = "Proxy-Authorization",
    ProxyRequire = "Proxy-Require",
    RAck = "RAck",
    Reason = "Reason",
    RecordRoute = "Record-Route",
    RecvInfo = "Recv-Info",
    ReferSub = "Refer-Sub",
    ReferTo = "Refer-To",
    ReferredBy = "Referred-By",
    RejectContact = "Reject-Contact",
    RemotePartyId = "Remote-Party-ID",
    Replaces = "Replaces",
    ReplyTo = "Reply-To",
    RequestDisposition = "Request-Disposition",
    Require = "Require",
    RetryAfter = "Retry-After",
    Route = "Route",
    RSeq = "RSeq",
    Server = "Server",
    ServiceRoute = "Service-Route",
    SessionExpires = "Session-Expires",
    SessionId = "Session-ID",
    SipETag = "SIP-ETag",
    SipIfMatch = "SIP-If-Match",
    Subject = "Subject",
    SubscriptionState = "Subscription-State",
    Supported = "Supported",
    Timestamp = "Timestamp",
    To = "To",
    Unsupported = "Unsupported",
    UserAgent = "User-Agent",
    UserToUser = "User-to-User",
    Via = "Via",
    Warning = "Warning",
    WwwAuthenticate = "WWW-Authenticate",
}

/// The one-letter form of a name (RFC 3261 §7.3.3 and the extension RFCs).
const fn long_form(letter: u8) -> Option<Known> {
    Some(match letter.to_ascii_lowercase() {
        b'a' => Known::AcceptContact,
        b'b' => Known::ReferredBy,
        b'c' => Known::ContentType,
        b'd' => Known::RequestDisposition,
        b'e' => Known::ContentEncoding,
        b'f' => Known::From,
        b'i' => Known::CallId,
        b'j' => Known::RejectContact,
        b'k' => Known::Supported,
        b'l' => Known::ContentLength,
        b'm' => Known::Contact,
        b'n' => Known::IdentityInfo,
        b'o' => Known::Event,
        b'r' => Known::ReferTo,
        b's' => Known::Subject,
        b't' => Known::To,
        b'u' => Known::AllowEvents,
        b'v' => Known::Via,
        b'x' => Known::SessionExpires,
        b'y' => Known::Identity,
        _ => return None,
    })
}

impl Known {
    /// The name in its usual case.
    pub fn text(self) -> &'static str {
        TEXTS[self as usize]
    }

    /// The known name that `text` spells, in whichever case, or in its compact form.
    #[inline]
    pub fn of(text: &str) -> Option<Self> {
        let octets = text.as_bytes();
        if let [letter] = octets {
            return long_form(*letter);
        }
        if octets.is_empty() {
            return None;
        }
        let mut slot = hash(octets);
        while SLOTS[slot] != FREE {
            let known = KNOWN[SLOTS[slot] as usize];
            // Nearly always it is spelled in the usual way, and that is a quicker comparison.
            if known.text() == text || known.text().eq_ignore_ascii_case(text) {
                return Some(known);
            }
            slot = (slot + 1) % SLOT_COUNT;
        }
        None
    }
}

/// Six times as many as there are names, so that most look-ups compare once.
const SLOT_COUNT: usize = 512;
const FREE: u8 = u8::MAX;
const SLOTS: [u8; SLOT_COUNT] = slots();

/// The same for every case of a name: length, first, middle and last letter.
const fn hash(text: &[u8]) -> usize {
    let length = text.len();
    let first = (text[0] | 0x20) as usize;
    let middle = (text[length / 2] | 0x20) as usize;
    let last = (text[length - 1] | 0x20) as usize;
    (length * 7 + first * 31 + middle * 101 + last * 211) % SLOT_COUNT
}

const fn slots() -> [u8; SLOT_COUNT] {
    let mut slots = [FREE; SLOT_COUNT];
    let mut index = 0;
    while index < TEXTS.len() {
        let mut slot = hash(TEXTS[index].as_bytes());
        while slots[slot] != FREE {
            slot = (slot + 1) % SLOT_COUNT;
        }
        slots[slot] = index as u8;
        index += 1;
    }
    slots
}

/// The name of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// One that the reference knows.
    Known(Known),
    /// Another one, as it was spelled.
    Other(Box<str>),
}

impl Name {
    /// The name that `text` spells, without looking whether it is a token.
    pub fn new(text: &str) -> Self {
        Key::new(text).name()
    }

    /// The name that `text` spells; None when it is no token.
    pub fn parse(text: &str) -> Option<Self> {
        match Known::of(text) {
            Some(known) => Some(Self::Known(known)),
            None => is_token(text).then(|| Self::Other(text.into())),
        }
    }

    /// The long name in its usual case; an unknown one as it was spelled.
    pub fn text(&self) -> &str {
        match self {
            Self::Known(known) => known.text(),
            Self::Other(text) => text,
        }
    }

    /// Whether both name the same field.
    #[inline]
    pub fn is(&self, key: Key<'_>) -> bool {
        match (self, key) {
            (Self::Known(ours), Key::Known(theirs)) => *ours == theirs,
            (Self::Other(ours), Key::Other(theirs)) => ours.eq_ignore_ascii_case(theirs),
            _ => false,
        }
    }

    /// What finds fields of this name.
    pub fn key(&self) -> Key<'_> {
        match self {
            Self::Known(known) => Key::Known(*known),
            Self::Other(text) => Key::Other(text),
        }
    }
}

/// What to look for.
#[derive(Clone, Copy, Debug)]
pub enum Key<'a> {
    /// A name that the reference knows.
    Known(Known),
    /// Another one, in whichever case.
    Other(&'a str),
}

impl<'a> Key<'a> {
    /// What finds the fields that `text` names.
    #[inline]
    pub fn new(text: &'a str) -> Self {
        Known::of(text).map_or(Self::Other(text), Self::Known)
    }

    /// The name itself.
    pub fn name(self) -> Name {
        match self {
            Self::Known(known) => Name::Known(known),
            Self::Other(text) => Name::Other(text.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_found() {
        for &known in KNOWN {
            let text = known.text();
            assert_eq!(Known::of(text), Some(known));
            assert_eq!(Known::of(&text.to_ascii_lowercase()), Some(known));
            assert_eq!(Known::of(&text.to_ascii_uppercase()), Some(known));
            assert_eq!(Known::of(&text[1..]).filter(|other| *other == known), None);
        }
        assert_eq!(Known::of("v"), Some(Known::Via));
        assert_eq!(Known::of("L"), Some(Known::ContentLength));
        assert_eq!((Known::of("q"), Known::of(""), Known::of("Vias")), (None, None, None));
    }

    #[test]
    fn unknown_names_keep_their_spelling_and_match_in_any_case() {
        let name = Name::parse("X-Custom").unwrap();
        assert_eq!(name.text(), "X-Custom");
        assert!(name.is(Key::new("x-cUSTOM")) && name.is(name.key()));
        assert!(!name.is(Key::new("x-customs")) && !name.is(Key::new("Via")) && !Name::new("Via").is(name.key()));
        assert_eq!(Name::parse("no token"), None);
        assert_eq!(Name::parse(""), None);
        assert_eq!(Name::new("no token").text(), "no token");
    }
}
