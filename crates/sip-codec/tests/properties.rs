//! Properties of everything that is read, whatever comes in; that it reads like the reference is tested in Python.

use proptest::prelude::*;
use sip_codec::address::{parse_addresses, unquoted, NameAddr};
use sip_codec::list::split_list;
use sip_codec::message::{repeated, Message, Span, Start};
use sip_codec::name::{Key, Known};
use sip_codec::number::parse_decimal;
use sip_codec::params::Params;
use sip_codec::uri::Uri;
use sip_codec::values::{parse_disposition, parse_expires, parse_rack, parse_session_expires, CSeq, ContentType};
use sip_codec::via::{parse_vias, Via};

const INVITE: &str = "INVITE sip:bob@b.example;transport=tcp SIP/2.0\r\n\
    Via: SIP/2.0/UDP a.example:5060;branch=z9hG4bK1;rport\r\n\
    v: SIP/2.0/tls [::1]\t:  5061 , SIP/2.0/UDP b\r\n\
    Max-Forwards: 70\r\nf: \"A \\\"B\\\" <\" <sip:a:pw@a.example>;tag=1\r\n\
    To: Bob <sip:bob@b.example>\r\nCall-ID: x@y\r\nCSeq: 7 INVITE\r\nX-Own:  \t v \t\r\n\
    Content-Length: 2\r\n\r\nhi there";

fn parse(text: &str) -> Option<Message<'_, Span>> {
    Message::parse(text.as_bytes())
}

#[test]
fn a_message_is_taken_apart() {
    let message = parse(INVITE).unwrap();
    let Start::Request { method: "INVITE", uri: Uri::Sip(uri) } = message.start else { panic!("{:?}", message.start) };
    assert_eq!((uri.user, uri.password, uri.host, uri.port), (Some("bob"), None, "b.example", None));
    assert_eq!(uri.params.iter().collect::<Vec<_>>(), [("transport", Some("tcp"))]);
    let hops: Vec<_> = message.vias.iter().map(|via| (via.transport, via.host, via.port, via.params.len())).collect();
    assert_eq!(hops, [("UDP", "a.example", Some(5060), 2), ("tls", "[::1]", Some(5061), 0), ("UDP", "b", None, 0)]);
    assert_eq!(message.from.display_name.as_deref(), Some("A \"B\" <"));
    assert_eq!(message.from.params.find("TAG"), Some("1"));
    assert_eq!((message.to.display_name.as_deref(), message.to.params.is_empty()), (Some("Bob"), true));
    assert_eq!((message.call_id, message.cseq), ("x@y", CSeq { number: 7, method: "INVITE" }));
    assert_eq!(&INVITE[message.body.clone()], "hi");
    let own: Vec<_> =
        message.fields.get_all(Key::new("x-own")).map(|span| span.text(INVITE.as_bytes()).unwrap()).collect();
    assert_eq!(own, ["v"]);
    let answer: Vec<_> =
        repeated(&message.fields, |span| *span).iter().map(|(name, _)| name.text().to_owned()).collect();
    assert_eq!(answer, ["Via", "Via", "From", "To", "Call-ID", "CSeq"]);
}

#[test]
fn a_response_may_have_no_reason() {
    for (line, expected) in [("SIP/2.0 180 ", ""), ("SIP/2.0 180", ""), ("SIP/2.0 180 Ri ng", "Ri ng")] {
        let text = INVITE.replacen("INVITE sip:bob@b.example;transport=tcp SIP/2.0", line, 1);
        assert_eq!(parse(&text).unwrap().start, Start::Response { status: 180, reason: expected });
    }
}

#[test]
fn what_is_wrong_or_unusual_is_left_to_the_reference() {
    for (from, to) in [
        ("INVITE sip:bob", "INVITE  sip:bob"),
        ("sip:bob@b.example;transport=tcp", "sip:bob@b.example?a=b"),
        ("SIP/2.0\r\nVia", "SIP/2.1\r\nVia"),
        ("INVITE sip:bob@b.example;transport=tcp SIP/2.0", "SIP/2.0 99 x"),
        ("INVITE sip:bob@b.example;transport=tcp SIP/2.0", "SIP/2.0 200x"),
        ("Max-Forwards: 70", "Max-Forwards"),
        ("Max-Forwards: 70", "Max Forwards: 70"),
        ("Max-Forwards: 70", "Max-Forwards: 70\r\n folded"),
        ("Max-Forwards: 70", "Max-Forwards: 7\r0"),
        ("Max-Forwards: 70", "Max-Forwards: 7\n0"),
        ("Max-Forwards: 70", "To: <sip:c@d>"),
        ("Call-ID: x@y", "Call-ID: x y"),
        ("Call-ID: x@y", "Call-ID:"),
        ("CSeq: 7 INVITE", "CSeq: 7 BYE"),
        ("CSeq: 7 INVITE", "CSeq: 4294967296 INVITE"),
        ("Length: 2", "Length: 9"),
        ("Length: 2", "Length: -1"),
        ("[::1]", "[::1"),
        ("5061", "65536"),
        ("5061", "123456"),
        ("\r\n\r\n", "\r\n"),
    ] {
        let text = INVITE.replacen(from, to, 1);
        assert_ne!(text, INVITE);
        assert_eq!(parse(&text), None, "{to}");
    }
    assert_eq!(Message::<Span>::parse(b"\r\n\r\n"), None);
    assert_eq!(Message::<Span>::parse(&[b"x".as_slice(), &[0xff], INVITE.as_bytes()].concat()), None);
    assert_eq!(parse(&(INVITE.replacen("Max-Forwards: 70", &"A: b\r\n".repeat(256), 1))), None);
    assert_eq!(parse(&(INVITE.replacen(": 70", &":".repeat(8193), 1))), None);
    assert_eq!(parse(&(INVITE.to_owned() + &" ".repeat(65536))), None);
}

#[test]
fn values_are_read() {
    assert_eq!(Via::parse("SIP/2.0/UDP"), None);
    assert_eq!(NameAddr::parse("sip:a@b?c=d"), None);
    assert_eq!(NameAddr::parse("<sip:a@b"), None);
    assert_eq!(NameAddr::parse("\"a\" sip:a@b"), None);
    assert_eq!(NameAddr::parse("<sip:a@b<"), None);
    assert!(matches!(Uri::parse("tel:+1-2;x=y"), Some(Uri::Tel { number: "+1-2", params }) if params.len() == 1));
    assert_eq!(Uri::parse("urn:a:b"), Some(Uri::Other { scheme: "urn", opaque: "a:b" }));
    assert_eq!(
        (Uri::parse("URN:a"), Uri::parse("tel:"), Uri::parse("sip:a%4@b"), Uri::parse("sip:b;x=")),
        (None, None, None, None)
    );
    assert_eq!(parse_session_expires("90 ; Refresher=\"UAC\""), Some((90, Some("uac".to_owned()))));
    assert_eq!(parse_session_expires("90;refresher=\u{c9}"), None);
    assert_eq!(parse_rack("1 2 INVITE"), Some((1, CSeq { number: 2, method: "INVITE" })));
    assert_eq!(
        (parse_expires("99999999999"), parse_expires("x"), parse_expires("")),
        (Some(4_294_967_295), None, None)
    );
    assert_eq!((parse_decimal("0007", 7), parse_decimal("8", 7), parse_decimal("", 7)), (Some(7), None, None));
    assert_eq!(parse_disposition("session ; a").map(|(word, params)| (word, params.len())), Some(("session", 1)));
    let content = ContentType::parse("text / plain;charset=x").unwrap();
    assert_eq!((content.kind, content.subtype, content.params.find("charset")), ("text", "plain", Some("x")));
    assert_eq!((unquoted("\"a\\\"b\""), unquoted("a\"")), ("a\"b".into(), "a\"".into()));
}

/// Text in which everything that means something occurs often.
fn busy_text() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "sip:",
        "a",
        "b1",
        "@",
        ":",
        ";",
        "=",
        ",",
        "<",
        ">",
        "\"",
        "\\",
        " ",
        "\t",
        "?",
        "&",
        "%41",
        "[::1]",
        "/",
        "SIP/2.0/UDP",
        "\u{c9}",
        "9",
        "65536",
        "\r\n",
        "*",
    ]);
    prop::collection::vec(pieces, 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_breaks_a_parser(text in busy_text()) {
        let (mut vias, mut addresses) = (Vec::new(), Vec::new());
        let _ = (parse_vias(&text, &mut vias), parse_addresses(&text, &mut addresses));
        let _ = (Uri::parse(&text), CSeq::parse(&text), ContentType::parse(&text), parse_disposition(&text));
        let _ = (parse_session_expires(&text), parse_rack(&text), parse_expires(&text), unquoted(&text));
        if let Some(params) = Params::parse(&text) {
            prop_assert_eq!(params.iter().count(), params.len());
        }
        if let Some(Uri::Sip(uri)) = Uri::parse(&text) {
            prop_assert_eq!(uri.params.iter().count(), uri.params.len());
        }
    }

    #[test]
    fn what_is_read_of_a_message_lies_inside_of_it(start in 0usize..400, length in 0usize..30, insertion in busy_text()) {
        let start = start.min(INVITE.len());
        let end = (start + length).min(INVITE.len());
        let text = [&INVITE.as_bytes()[..start], insertion.as_bytes(), &INVITE.as_bytes()[end..]].concat();
        if let Some(message) = Message::<Span>::parse(&text) {
            prop_assert!(message.body.end <= text.len());
            prop_assert!(!message.vias.is_empty());
            for (name, span) in message.fields.iter() {
                let value = span.text(&text).unwrap();
                prop_assert_eq!(value, value.trim_matches([' ', '\t']));
                prop_assert!(!value.contains(['\r', '\n']) && !name.text().is_empty());
            }
            prop_assert_eq!(message.fields.get_all(Key::Known(Known::To)).count(), 1);
        }
    }

    #[test]
    fn octets_do_not_break_it(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Message::<Span>::parse(&octets);
    }

    #[test]
    fn a_list_gives_back_its_elements(elements in prop::collection::vec("[a-z]{0,3}|\"[a,<]{0,3}\"|<[a,\"]{0,3}>", 1..5)) {
        let text = elements.join(" ,\t");
        let found: Option<Vec<_>> = split_list(&text).collect();
        prop_assert_eq!(found, Some(elements.iter().map(String::as_str).collect::<Vec<_>>()));
    }

    #[test]
    fn parameters_give_back_what_they_were_made_of(params in prop::collection::vec(("[a-z]{1,4}", prop::option::of("[a-z0-9]{1,4}|\"[a; ]{0,3}\"")), 0..4)) {
        let text: String = params.iter().map(|(name, value)| match value {
            Some(value) => format!(" ; {name} = {value}"),
            None => format!(";{name}"),
        }).collect();
        let found: Vec<_> = Params::parse(&text).unwrap().iter().collect();
        let expected: Vec<_> = params.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_uri_gives_back_its_parts(user in "[a-z+;?/]{1,5}", host in "[a-z]{1,5}|\\[::[0-9a-f]{1,4}\\]", port in prop::option::of(0u16..)) {
        let number = port.map(|port| format!(":{port}")).unwrap_or_default();
        let text = format!("sips:{user}:pw@{host}{number};lr;a=b?c=d&e=");
        let Some(Uri::Sip(uri)) = Uri::parse(&text) else { return Err(TestCaseError::fail(text)) };
        prop_assert_eq!((uri.secure, uri.user, uri.password, uri.host, uri.port), (true, Some(user.as_str()), Some("pw"), host.as_str(), port));
        prop_assert_eq!(uri.params.iter().collect::<Vec<_>>(), [("lr", None), ("a", Some("b"))]);
        prop_assert_eq!(uri.headers.iter().collect::<Vec<_>>(), [("c", "d"), ("e", "")]);
    }
}
