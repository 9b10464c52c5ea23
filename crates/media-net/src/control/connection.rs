//! One control connection: lines in, answers in order and event batches out.

use std::collections::VecDeque;
use std::io;

use super::stream::Stream;

/// The longest line, its end included.
pub(crate) const MAX_LINE: usize = 65_536;
/// So many requests may be unanswered; then no more are read.
const MAX_UNANSWERED: usize = 1024;
/// With so much unsent, events wait and no more requests are read: the client does not read.
const MAX_UNSENT: usize = 4 * 1024 * 1024;

/// A line of a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Text(Vec<u8>),
    TooLong,
}

/// Splits octets into lines of bounded length.
#[derive(Debug, Default)]
pub(crate) struct LineSplitter {
    partial: Vec<u8>,
    skipping: bool,
}

impl LineSplitter {
    pub(crate) fn feed(&mut self, mut bytes: &[u8], lines: &mut VecDeque<Line>) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.partial);
            if std::mem::take(&mut self.skipping) || line.len() >= MAX_LINE {
                lines.push_back(Line::TooLong);
            } else if !line.trim_ascii().is_empty() {
                lines.push_back(Line::Text(line));
            }
        }
        self.partial.extend_from_slice(bytes);
        if self.partial.len() >= MAX_LINE {
            self.partial.clear();
            self.skipping = true;
        }
    }
}

/// Why a connection is over.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Closed,
}

pub(crate) struct Connection {
    stream: Stream,
    splitter: LineSplitter,
    lines: VecDeque<Line>,
    /// Answers in the order of their requests; None is not there yet.
    answers: VecDeque<Option<Vec<u8>>>,
    /// The number of the first of `answers`.
    first: u64,
    unsent: VecDeque<u8>,
    /// The client has said its last; it may still listen.
    ended: bool,
    pub(crate) greeted: bool,
    pub(crate) wants_events: bool,
    /// Events that were dropped on the way to this client since it was last told.
    pub(crate) dropped: u64,
}

impl Connection {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream,
            splitter: LineSplitter::default(),
            lines: VecDeque::new(),
            answers: VecDeque::new(),
            first: 0,
            unsent: VecDeque::new(),
            ended: false,
            greeted: false,
            wants_events: false,
            dropped: 0,
        }
    }

    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Reads what has come, one chunk at most.
    pub(crate) fn read(&mut self) -> Result<(), Ended> {
        let Self { stream, splitter, lines, .. } = self;
        match stream.read(|octets| splitter.feed(octets, lines)) {
            Ok(0) => {
                self.ended = true;
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(()),
            Err(_) => Err(Ended::Closed),
        }
    }

    /// The next line, with the number that its answer has to be given under; None while there is none or the client
    /// has to be slowed down.
    pub(crate) fn next_line(&mut self) -> Option<(u64, Line)> {
        if self.is_full() {
            return None;
        }
        let line = self.lines.pop_front()?;
        self.answers.push_back(None);
        Some((self.first + self.answers.len() as u64 - 1, line))
    }

    /// Gives the answer to a request.
    pub(crate) fn answer(&mut self, number: u64, answer: Vec<u8>) {
        let index = number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        if let Some(slot) = index.and_then(|index| self.answers.get_mut(index)) {
            *slot = Some(answer);
        }
        while let Some(Some(_)) = self.answers.front() {
            self.unsent.extend(self.answers.pop_front().flatten().unwrap_or_default());
            self.first += 1;
        }
    }

    /// True if events have to wait.
    pub(crate) fn is_choked(&self) -> bool {
        self.unsent.len() >= MAX_UNSENT
    }

    /// True if no more requests are taken.
    pub(crate) fn is_full(&self) -> bool {
        self.answers.len() >= MAX_UNANSWERED || self.is_choked()
    }

    /// True if lines wait that could be taken.
    pub(crate) fn has_lines(&self) -> bool {
        !self.lines.is_empty() && !self.is_full()
    }

    /// True if reading makes sense: lines that cannot be taken are not gathered.
    pub(crate) fn may_read(&self) -> bool {
        !self.ended && self.lines.is_empty() && !self.is_full()
    }

    /// True if the client has said its last.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// True if it has also got all its answers.
    pub(crate) fn is_over(&self) -> bool {
        self.ended && self.lines.is_empty() && self.answers.is_empty() && !self.has_unsent()
    }

    pub(crate) fn queue(&mut self, line: &[u8]) {
        self.unsent.extend(line);
    }

    /// Sends what can be sent.
    pub(crate) fn write(&mut self) -> Result<(), Ended> {
        while self.has_unsent() {
            let (front, _) = self.unsent.as_slices();
            let sent = if front.is_empty() { self.stream.flush().map(|()| 0) } else { self.stream.write(front) };
            match sent {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Ended::Closed),
            }
        }
        Ok(())
    }

    pub(crate) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty() || self.stream.wants_write()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    fn connected() -> (Connection, UnixStream) {
        let (mine, theirs) = UnixStream::pair().unwrap();
        mine.set_nonblocking(true).unwrap();
        (Connection::new(Stream::Unix(mine)), theirs)
    }

    fn split(pieces: &[&[u8]]) -> Vec<Line> {
        let (mut splitter, mut lines) = (LineSplitter::default(), VecDeque::new());
        pieces.iter().for_each(|piece| splitter.feed(piece, &mut lines));
        lines.into()
    }

    #[test]
    fn lines_are_split_wherever_the_octets_are() {
        let text = b"{\"a\":1}\n\r\n{\"b\":2}\npartial";
        let whole = [Line::Text(b"{\"a\":1}".to_vec()), Line::Text(b"{\"b\":2}".to_vec())];
        assert_eq!(split(&[text]), whole);
        let single: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(split(&single), whole);
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_to_its_end() {
        let long = vec![b'x'; MAX_LINE - 1];
        assert_eq!(split(&[&long, b"\nnext\n"]), [Line::Text(long.clone()), Line::Text(b"next".to_vec())]);
        assert_eq!(split(&[&long, b"x\nnext\n"]), [Line::TooLong, Line::Text(b"next".to_vec())]);
        assert_eq!(split(&[&long, &long, &long, b"\nnext\n"]), [Line::TooLong, Line::Text(b"next".to_vec())]);
        let at_once = [&long[..], b"xx\nnext\n"].concat();
        assert_eq!(split(&[&at_once]), [Line::TooLong, Line::Text(b"next".to_vec())]);
    }

    #[test]
    fn answers_leave_in_the_order_of_the_requests() {
        let (mut connection, mut theirs) = connected();
        theirs.write_all(b"1\n2\n3\n").unwrap();
        connection.read().unwrap();
        let numbers: Vec<u64> = std::iter::from_fn(|| connection.next_line()).map(|(number, _)| number).collect();
        assert_eq!(numbers, [0, 1, 2]);
        connection.answer(2, b"c".to_vec());
        connection.answer(1, b"b".to_vec());
        assert!(!connection.has_unsent());
        connection.answer(0, b"a".to_vec());
        connection.answer(0, b"again".to_vec());
        connection.write().unwrap();
        let mut read = [0; 3];
        theirs.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"abc");
        drop(theirs);
        assert_eq!(connection.read(), Ok(()));
        assert!(connection.is_over() && !connection.may_read());
    }

    #[test]
    fn a_client_that_has_said_its_last_still_gets_its_answers() {
        let (mut connection, mut theirs) = connected();
        theirs.write_all(b"1\n").unwrap();
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        connection.read().unwrap();
        connection.next_line().unwrap();
        connection.read().unwrap();
        assert!(connection.has_ended() && !connection.is_over());
        connection.answer(0, b"a".to_vec());
        assert!(!connection.is_over());
        connection.write().unwrap();
        assert!(connection.is_over());
        let mut read = String::new();
        drop(connection);
        theirs.read_to_string(&mut read).unwrap();
        assert_eq!(read, "a");
    }

    #[test]
    fn a_client_that_never_reads_is_not_read_either() {
        let (mut connection, mut theirs) = connected();
        let requests = "x\n".repeat(2000);
        theirs.write_all(requests.as_bytes()).unwrap();
        connection.read().unwrap();
        assert_eq!(std::iter::from_fn(|| connection.next_line()).count(), MAX_UNANSWERED);
        assert!(!connection.may_read());
        connection.answer(0, vec![0; MAX_UNSENT]);
        connection.write().unwrap();
        assert!(connection.has_unsent());
        assert_eq!(connection.next_line().map(|(number, _)| number), Some(MAX_UNANSWERED as u64));
    }
}
