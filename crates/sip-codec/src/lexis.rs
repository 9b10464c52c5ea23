//! The character classes of RFC 3261 §25.1, as the reference has them, and runs of them.

const TOKEN: u8 = 1;
const HOST: u8 = 2;
const USER: u8 = 4;
const PASSWORD: u8 = 8;
const URI_PARAM: u8 = 16;
const URI_HEADER: u8 = 32;
const DIGIT: u8 = 64;
/// What an unquoted parameter value may hold: anything but separators, octets of UTF-8 included.
const VALUE: u8 = 128;

const CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut octet = 0;
    while octet < 256 {
        let c = octet as u8;
        let mut class = 0;
        if c.is_ascii_alphanumeric() {
            class |= TOKEN | HOST | USER | PASSWORD | URI_PARAM | URI_HEADER;
        }
        if c.is_ascii_digit() {
            class |= DIGIT;
        }
        if is_one_of(c, b"-.!%*_+`'~") {
            class |= TOKEN;
        }
        if is_one_of(c, b"._-") {
            class |= HOST;
        }
        if is_one_of(c, b"-_.!~*'()&=+$,;?/%#") {
            class |= USER;
        }
        if is_one_of(c, b"-_.!~*'()&=+$,%") {
            class |= PASSWORD;
        }
        if is_one_of(c, b"-_.!~*'()[]/:&+$%") {
            class |= URI_PARAM;
        }
        if is_one_of(c, b"-_.!~*'()[]/?:+$%=&") {
            class |= URI_HEADER;
        }
        if !is_one_of(c, b" \t;,\"<>") {
            class |= VALUE;
        }
        table[octet] = class;
        octet += 1;
    }
    table
}

const fn is_one_of(c: u8, set: &[u8]) -> bool {
    let mut index = 0;
    while index < set.len() {
        if set[index] == c {
            return true;
        }
        index += 1;
    }
    false
}

/// Where the run of octets of `class` that begins at `start` ends.
#[inline]
fn run(text: &[u8], start: usize, class: u8) -> usize {
    let mut end = start;
    while end < text.len() && CLASSES[text[end] as usize] & class != 0 {
        end += 1;
    }
    end
}

#[inline]
pub fn token_end(text: &[u8], start: usize) -> usize {
    run(text, start, TOKEN)
}

#[inline]
pub fn user_end(text: &[u8], start: usize) -> usize {
    run(text, start, USER)
}

#[inline]
pub fn password_end(text: &[u8], start: usize) -> usize {
    run(text, start, PASSWORD)
}

#[inline]
pub fn uri_param_end(text: &[u8], start: usize) -> usize {
    run(text, start, URI_PARAM)
}

#[inline]
pub fn uri_header_end(text: &[u8], start: usize) -> usize {
    run(text, start, URI_HEADER)
}

#[inline]
pub fn digits_end(text: &[u8], start: usize) -> usize {
    run(text, start, DIGIT)
}

#[inline]
pub fn value_end(text: &[u8], start: usize) -> usize {
    run(text, start, VALUE)
}

/// Whether `text` is a token.
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && token_end(text.as_bytes(), 0) == text.len()
}

/// Where the blanks that begin at `start` end.
#[inline]
pub fn blanks_end(text: &[u8], start: usize) -> usize {
    let mut end = start;
    while end < text.len() && (text[end] == b' ' || text[end] == b'\t') {
        end += 1;
    }
    end
}

/// `text` without blanks (SP and HTAB) at either end.
#[inline]
pub fn trimmed(text: &str) -> &str {
    trimmed_end(&text[blanks_end(text.as_bytes(), 0)..])
}

/// `text` without blanks at its end.
#[inline]
pub fn trimmed_end(text: &str) -> &str {
    let octets = text.as_bytes();
    let mut end = octets.len();
    while end > 0 && (octets[end - 1] == b' ' || octets[end - 1] == b'\t') {
        end -= 1;
    }
    &text[..end]
}

/// Where the host (name, IPv4 or bracketed IPv6) that begins at `start` ends; None when there is none.
#[inline]
pub fn host_end(text: &[u8], start: usize) -> Option<usize> {
    if text.get(start) == Some(&b'[') {
        let mut end = start + 1;
        while end < text.len() && (text[end].is_ascii_hexdigit() || text[end] == b':' || text[end] == b'.') {
            end += 1;
        }
        return (end > start + 1 && text.get(end) == Some(&b']')).then_some(end + 1);
    }
    let end = run(text, start, HOST);
    (end > start).then_some(end)
}

/// Where the quoted-string that begins at `start` ends; None when it is not closed.
#[inline]
pub fn quoted_end(text: &[u8], start: usize) -> Option<usize> {
    let mut position = start + 1;
    loop {
        match text.get(position)? {
            b'"' => return Some(position + 1),
            b'\\' => {
                text.get(position + 1)?;
                position += 2;
            }
            _ => position += 1,
        }
    }
}

/// The port of `text` from `start`: one to five digits that are at most 65535, and where they end.
#[inline]
pub fn port(text: &[u8], start: usize) -> Option<(u16, usize)> {
    let end = digits_end(text, start);
    if end == start || end > start + 5 {
        return None;
    }
    let number = text[start..end].iter().fold(0u32, |number, digit| number * 10 + u32::from(digit - b'0'));
    Some((u16::try_from(number).ok()?, end))
}
