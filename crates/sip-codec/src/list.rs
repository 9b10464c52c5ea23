//! Comma lists; commas inside quotes and angle brackets do not split.

use crate::lexis::{quoted_end, trimmed};

/// The elements of the comma list `text`, stripped, empty ones included; a None among them ends it: there is an opening
/// quote or bracket without its mate.
pub fn split_list(text: &str) -> Elements<'_> {
    Elements { text, start: Some(0) }
}

/// The elements of a comma list.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    text: &'a str,
    start: Option<usize>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Option<&'a str>;

    fn next(&mut self) -> Option<Option<&'a str>> {
        let start = self.start?;
        let Some(end) = element_end(self.text.as_bytes(), start) else {
            self.start = None;
            return Some(None);
        };
        self.start = (end < self.text.len()).then_some(end + 1);
        Some(Some(trimmed(&self.text[start..end])))
    }
}

/// Where the element that begins at `start` ends: at a comma or at the end of the text.
fn element_end(text: &[u8], start: usize) -> Option<usize> {
    let mut position = start;
    while let Some(found) = memchr::memchr3(b',', b'"', b'<', &text[position..]) {
        position += found;
        position = match text[position] {
            b',' => return Some(position),
            b'"' => quoted_end(text, position)?,
            _ => {
                let close = position + 1 + memchr::memchr2(b'<', b'>', &text[position + 1..])?;
                if text[close] == b'<' {
                    return None;
                }
                close + 1
            }
        };
    }
    Some(text.len())
}
