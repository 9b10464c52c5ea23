//! The maps of the programs in the kernel: what legs are open, and what was done for them.

use std::io;

use aya::maps::{Array, HashMap, MapData};

use crate::attachments::Attachments;
use crate::layout::{RawHop, RawLeg, RawPlace, RawTally};
use crate::object::{load, told};
use crate::Unavailable;

/// Of linux/bpf.h: take the value's lock.
const LOCKED: u64 = 4;

pub(crate) struct Program {
    pub(crate) attachments: Attachments,
    places: HashMap<MapData, RawPlace, u32>,
    legs: Array<MapData, RawLeg>,
    tallies: Array<MapData, RawTally>,
    hops: Array<MapData, RawHop>,
}

impl Program {
    pub(crate) fn load() -> Result<Self, Unavailable> {
        let refused = |error: io::Error| Unavailable::Refused(error.to_string());
        let mut ebpf = load()?;
        let mut take = |name| ebpf.take_map(name).ok_or_else(|| refused(io::Error::other(format!("no map {name}"))));
        let (places, legs, tallies, hops) = (take("places")?, take("legs")?, take("tallies")?, take("hops")?);
        let places = HashMap::try_from(places).map_err(|error| refused(told(error)))?;
        let legs = Array::try_from(legs).map_err(|error| refused(told(error)))?;
        let tallies = Array::try_from(tallies).map_err(|error| refused(told(error)))?;
        let hops = Array::try_from(hops).map_err(|error| refused(told(error)))?;
        let attachments = Attachments::new(ebpf).map_err(refused)?;
        Ok(Self { attachments, places, legs, tallies, hops })
    }

    /// Tells of a destination of which nothing is known yet, before a leg has to do with it.
    pub(crate) fn set_hop(&mut self, number: u32, hop: &RawHop) -> io::Result<()> {
        self.hops.set(number, hop, 0).map_err(told)
    }

    /// Opens a leg in a place that was closed, or never open. Fails with `WouldBlock` if it is not `clear`, at the last
    /// moment.
    pub(crate) fn open(
        &mut self,
        number: u32,
        leg: &RawLeg,
        tally: &RawTally,
        place: &RawPlace,
        clear: impl FnOnce() -> bool,
    ) -> io::Result<()> {
        // nobody finds the leg before it has a place, and then all of it is there
        self.tallies.set(number, tally, LOCKED).map_err(told)?;
        self.legs.set(number, leg, 0).map_err(told)?;
        if !clear() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.places.insert(place, number, 0).map_err(told)
    }

    pub(crate) fn read(&self, number: u32) -> io::Result<RawTally> {
        self.tallies.get(&number, LOCKED).map_err(told)
    }

    /// `leg` is the same as before but closed. The program looks at that under the tally's lock, so whoever has had the
    /// lock after it was written knows all that was ever counted.
    pub(crate) fn close(&mut self, number: u32, leg: &RawLeg, place: &RawPlace) -> io::Result<RawTally> {
        let closed = self.legs.set(number, leg, 0).map_err(told);
        let removed = self.places.remove(place).map_err(told);
        let tally = self.read(number);
        closed.and(removed).and(tally)
    }
}
