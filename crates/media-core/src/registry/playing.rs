//! What the engine sends by itself into an endpoint: files, tones and digits.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::arena::Key;
use crate::digits::{Digits, Frame};
use crate::event::Event;
use crate::format::{Format, Formats};
use crate::g711::Law;
use crate::player::{Audio, Player, FRAME_NS, FRAME_SAMPLES};
use crate::refusal::{Refusal, RefusalCode};
use crate::rtp::{RtpPacket, HEADER_LEN};
use crate::time::{Instant, NS_PER_S};

use super::commands::{conflict, within};
use super::endpoint::{Endpoint, RATE};
use super::packets::Way;
use super::session::{PlayerSlot, Session, MAX_PLAYERS};
use super::stream::Splice;
use super::{EndpointSettings, Output, Registry};

/// A player that is late sends at most so many packets at once.
const MAX_CATCH_UP: usize = 10;
/// A source that was heard within this time is still talking: what is put in becomes part of its stream.
const LIVE_NS: u64 = NS_PER_S;

/// What `play` plays.
#[derive(Clone, Debug)]
pub struct Playback {
    /// What.
    pub audio: Audio,
    /// How often; 0: until stopped.
    pub loops: u32,
    /// Where it begins.
    pub start_ms: u64,
}

/// Where a player's packets come from.
#[derive(Debug)]
pub(super) enum Source {
    Audio(Player),
    Digits(Digits),
}

impl Source {
    /// True if the other was asked to send just the same.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Audio(one), Self::Audio(other)) => one.is_like(other),
            (Self::Digits(one), Self::Digits(other)) => one.is_like(other),
            _ => false,
        }
    }

    fn due_ns(&self) -> u64 {
        match self {
            Self::Audio(player) => player.due_ns(),
            Self::Digits(digits) => digits.due_ns(),
        }
    }

    fn next_frame(&mut self, law: Option<Law>, events: Option<u32>, out: &mut [u8; FRAME_SAMPLES]) -> Option<Frame> {
        match self {
            Self::Digits(digits) => digits.next_frame(law, events, out),
            // where nothing can be sent any more it goes on silently
            Self::Audio(player) => player.next_frame(law.unwrap_or(Law::Mu), out).then_some(if law.is_some() {
                Frame::Audio
            } else {
                Frame::Nothing
            }),
        }
    }
}

impl Registry {
    /// Plays audio into an endpoint; a player that runs there ends.
    pub fn play(
        &mut self,
        session: &str,
        name: &Arc<str>,
        endpoint: &str,
        playback: Playback,
        now: Instant,
        out: &mut impl Output,
    ) -> Result<(), Refusal> {
        let player = Player::new(playback.audio, playback.loops, playback.start_ms, now.mono_ns);
        self.start(session, name, endpoint, Source::Audio(player), now, out)
    }

    /// Dials digits into an endpoint, as telephone events or else as tones; a player that runs there ends.
    pub fn send_digits(
        &mut self,
        session: &str,
        name: &Arc<str>,
        endpoint: &str,
        mut digits: Digits,
        now: Instant,
        out: &mut impl Output,
    ) -> Result<(), Refusal> {
        digits.start(now.mono_ns);
        self.start(session, name, endpoint, Source::Digits(digits), now, out)
    }

    /// Lets a player go on at another place of its audio.
    pub fn seek_player(&mut self, session: &str, player: &str, position_ms: u64) -> Result<(), Refusal> {
        let session = self.session_named(session)?;
        let key = session.player(player).ok_or_else(|| {
            Refusal::new(RefusalCode::NoPlayer, format!("no player {player} in session {}", session.name))
        })?;
        match session.players.get_mut(key).map(|slot| &mut slot.source) {
            Some(Source::Audio(player)) => player.seek(position_ms),
            _ => {
                return Err(Refusal::new(RefusalCode::BadField, format!("{player} sends digits, which have no place")))
            }
        }
        Ok(())
    }

    /// Stops a player, if it runs.
    pub fn stop_player(&mut self, session: &str, player: &str, out: &mut impl Output) {
        if let Ok(session) = self.session_named(session) {
            if let Some(key) = session.player(player) {
                end_player(session, key, false, out);
            }
        }
    }

    fn start(
        &mut self,
        session: &str,
        name: &Arc<str>,
        endpoint: &str,
        source: Source,
        now: Instant,
        out: &mut impl Output,
    ) -> Result<(), Refusal> {
        let session_key = self.session_key(session)?;
        let session = self.session_mut(session_key)?;
        let key = session.endpoint(endpoint)?;
        if let Some(running) = session.player(name).and_then(|player| session.players.get(player)) {
            // asked again by somebody who does not know whether the first asking arrived
            let same = running.endpoint == key && running.source.is_like(&source);
            return if same { Ok(()) } else { Err(conflict("player", name)) };
        }
        let is_digits = matches!(source, Source::Digits(_));
        let settings = session.endpoints.get(key).map(|endpoint| &endpoint.settings);
        let (law, events) = settings.map_or((None, None), |settings| (settings.law(), settings.events(RATE)));
        let usable = law.is_some() || (is_digits && events.is_some());
        if !usable {
            let needed = if is_digits { "telephone-event, PCMU or PCMA" } else { "PCMU or PCMA" };
            return Err(Refusal::new(RefusalCode::NoFormat, format!("endpoint {endpoint} has no {needed}")));
        }
        let clock_rate = if law.is_some() { RATE } else { events.map_or(RATE, |(_, clock_rate)| clock_rate) };
        within(session.players.len(), MAX_PLAYERS, "players")?;
        let spliced = is_digits && session.splice(key, now.mono_ns);
        if let Some(running) = session.endpoints.get(key).and_then(|endpoint| endpoint.player) {
            end_player(session, running, false, out);
        }
        let slot = PlayerSlot { name: name.clone(), endpoint: key, source, mark_next: true, spliced };
        let player = session.players.insert(slot);
        if let Some(endpoint) = session.endpoints.get_mut(key) {
            if !spliced {
                endpoint.own.stream.begin(now.mono_ns, clock_rate);
            }
            endpoint.player = Some(player);
        }
        self.players.push(Reverse((now.mono_ns, session_key, player)));
        Ok(())
    }

    /// Sends the packets of a player that are due; tells when the next is, None if it has ended.
    pub(super) fn run_player(&mut self, of: Key, key: Key, now: Instant, out: &mut impl Output) -> Option<u64> {
        let session = self.sessions.get_mut(of)?;
        for _ in 0..MAX_CATCH_UP {
            let slot = session.players.get_mut(key)?;
            let due_ns = slot.source.due_ns();
            if due_ns > now.mono_ns {
                return Some(due_ns);
            }
            let (to, spliced) = (slot.endpoint, slot.spliced);
            let endpoint = session.endpoints.get_mut(to)?;
            let may_send = endpoint.settings.send && endpoint.remote.is_some();
            let stream = endpoint.played(spliced)?;
            let clock_rate = stream.clock_rate;
            let (audio, events) = (endpoint.settings.audio(), endpoint.settings.events(clock_rate));
            let mut payload = [0; FRAME_SAMPLES];
            let frame = slot.source.next_frame(audio.map(|(_, law)| law), events.map(|(_, rate)| rate), &mut payload);
            let Some(frame) = frame else {
                end_player(session, key, true, out);
                return None;
            };
            // RFC 4733 §2.5.1.2: the first packet of an event has the mark, the others must not
            let (payload_type, payload, marker, age) = match &frame {
                Frame::Audio => (audio.map(|(number, _)| number), &payload[..], slot.mark_next, 0),
                Frame::Event { payload, age } => (events.map(|(number, _)| number), &payload[..], *age == 0, *age),
                Frame::Nothing => (None, &payload[..0], false, 0),
            };
            slot.mark_next = !may_send || frame != Frame::Audio;
            if let Some(payload_type) = payload_type.filter(|_| may_send) {
                let header = endpoint.played(spliced)?.next_header(marker, payload_type, age);
                if !spliced {
                    endpoint.own.reporter.note_sent(payload.len(), now.mono_ns);
                }
                let mut bytes = [0; HEADER_LEN + FRAME_SAMPLES];
                if let Some(first) = bytes.first_chunk_mut() {
                    header.write(first);
                }
                let bytes = &mut bytes[..HEADER_LEN + payload.len()];
                bytes[HEADER_LEN..].copy_from_slice(payload);
                if let Ok(packet) = RtpPacket::parse(bytes) {
                    let arrival =
                        Instant { mono_ns: due_ns, wall_ns: now.wall_ns - (now.mono_ns - due_ns).min(now.wall_ns) };
                    let (scratch, totals, batches) = (&mut self.scratch, &mut self.totals, &mut self.batches);
                    let mut way = Way { session: of, arrival, scratch, totals, batches };
                    way.send_to_remote(session, to, &packet, out);
                }
            }
            session.endpoints.get_mut(to)?.played(spliced)?.advance(due_ns);
        }
        Some(now.mono_ns + FRAME_NS / 20)
    }
}

impl Session {
    /// Makes ready to put packets into the stream that is being relayed to an endpoint; false if none is.
    fn splice(&mut self, to: Key, now_ns: u64) -> bool {
        let is_live =
            |endpoint: &Endpoint| endpoint.bridge() == Some(to) && now_ns.saturating_sub(endpoint.heard_ns) < LIVE_NS;
        let talking = self.endpoints.iter().map(|(_, endpoint)| endpoint).filter(|endpoint| is_live(endpoint));
        let relayed = talking.max_by_key(|endpoint| endpoint.heard_ns);
        let Some(heard) = relayed.and_then(|endpoint| endpoint.heard(now_ns)) else { return false };
        let Some(endpoint) = self.endpoints.get_mut(to) else { return false };
        let running = endpoint.player.and_then(|player| self.players.get(player));
        // a player of audio has put the relayed stream off already, and sends one of its own
        if running.is_some_and(|running| !running.spliced) {
            return false;
        }
        let known = endpoint.splice.take().filter(|splice| splice.ssrc() == heard.ssrc);
        let mut splice = known.unwrap_or_else(|| Box::new(Splice::new(heard.ssrc, heard.sequence)));
        splice.insert(heard.timestamp, heard.clock_rate, now_ns);
        endpoint.splice = Some(splice);
        self.map_routes();
        true
    }
}

impl EndpointSettings {
    /// What may be sent, as the remote numbers it.
    pub(super) fn sent(&self) -> &Formats {
        self.send_formats.as_ref().unwrap_or(&self.formats)
    }

    /// The first format that players can send: (payload type, law).
    pub(super) fn audio(&self) -> Option<(u8, Law)> {
        self.sent().iter().find_map(|format| Some((format.payload_type, format.law()?)))
    }

    fn law(&self) -> Option<Law> {
        self.audio().map(|(_, law)| law)
    }

    /// Telephone events, if may be with this clock: (payload type, clock rate).
    fn events(&self, clock_rate: u32) -> Option<(u8, u32)> {
        let fits = |format: &Format| format.is_telephone_event() && format.clock_rate == clock_rate;
        let format = self.sent().first(fits).or_else(|| self.sent().first(Format::is_telephone_event))?;
        Some((format.payload_type, format.clock_rate))
    }
}

pub(super) fn end_player(session: &mut Session, key: Key, completed: bool, out: &mut impl Output) {
    let Some(slot) = session.players.remove(key) else { return };
    if let Some(endpoint) = session.endpoints.get_mut(slot.endpoint) {
        endpoint.player = None;
    }
    out.report(Event::PlayerEnded { session: session.name.clone(), player: slot.name, completed });
}
