//! Parameters of header fields: `;name=value;name`, values as written, quotes included.

use crate::lexis::{blanks_end, quoted_end, token_end, value_end};

/// Parameters whose text was found to be well-formed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params<'a> {
    text: &'a str,
    count: usize,
}

/// A name and its value, if it has one.
pub type Param<'a> = (&'a str, Option<&'a str>);

impl<'a> Params<'a> {
    /// Read parameters, each behind its semicolon; blanks may stand around everything.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut count = 0;
        let mut position = 0;
        while position < text.len() {
            position = next(text, position)?.1;
            count += 1;
        }
        Some(Self { text, count })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The parameters in order.
    pub fn iter(&self) -> Iter<'a> {
        Iter { text: self.text, position: 0, left: self.count }
    }

    /// The value of the first parameter called `name` (lower case): `Some("")` without a value, None when absent.
    /// It is as written.
    pub fn find(&self, name: &str) -> Option<&'a str> {
        self.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.unwrap_or(""))
    }
}

/// The parameters of a `Params`.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    text: &'a str,
    position: usize,
    left: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Param<'a>;

    fn next(&mut self) -> Option<Param<'a>> {
        if self.left == 0 {
            return None;
        }
        let (param, end) = next(self.text, self.position)?;
        self.position = end;
        self.left -= 1;
        Some(param)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Iter<'_> {}

/// The parameter that begins at `start`, and where what belongs to it ends.
#[inline]
fn next(text: &str, start: usize) -> Option<(Param<'_>, usize)> {
    let octets = text.as_bytes();
    let semicolon = blanks_end(octets, start);
    if octets.get(semicolon) != Some(&b';') {
        return None;
    }
    let name_start = blanks_end(octets, semicolon + 1);
    let name_end = token_end(octets, name_start);
    if name_end == name_start {
        return None;
    }
    let name = &text[name_start..name_end];
    let equals = blanks_end(octets, name_end);
    if octets.get(equals) != Some(&b'=') {
        return Some(((name, None), equals));
    }
    let value_start = blanks_end(octets, equals + 1);
    let value_end = match octets.get(value_start)? {
        b'"' => quoted_end(octets, value_start)?,
        _ => value_end(octets, value_start),
    };
    if value_end == value_start {
        return None;
    }
    Some(((name, Some(&text[value_start..value_end])), blanks_end(octets, value_end)))
}
