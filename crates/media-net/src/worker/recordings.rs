//! Samples gathered into blocks for the writer.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use media_core::{SessionStatistics, NS_PER_MS};

use crate::command::RecordingInfo;
use crate::sys::clock;
use crate::writer::Writer;

/// A block for the writer: a second of talk.
const BLOCK_SAMPLES: usize = 8000;
/// A block that is not full is written after this long.
const MAX_AGE_NS: u64 = 1000 * NS_PER_MS;

#[derive(Debug)]
struct Block {
    at: u64,
    samples: Vec<i16>,
    begun_ns: u64,
}

#[derive(Debug)]
struct Open {
    info: RecordingInfo,
    block: Option<Block>,
}

pub(super) struct Recordings {
    pub(super) writer: Writer,
    open: HashMap<u64, Open>,
    /// Closed by the command that is being obeyed.
    closed: HashMap<u64, RecordingInfo>,
}

impl Recordings {
    pub(super) fn new(writer: Writer) -> Self {
        Self { writer, open: HashMap::new(), closed: HashMap::new() }
    }

    pub(super) fn open(&mut self, id: u64, info: RecordingInfo) {
        self.open.insert(id, Open { info, block: None });
    }

    pub(super) fn write(&mut self, id: u64, at: u64, samples: &[i16]) {
        let Some(open) = self.open.get_mut(&id) else { return };
        if let Some(block) = &mut open.block {
            let end = block.at + block.samples.len() as u64;
            if at == end {
                block.samples.extend_from_slice(samples);
                if block.samples.len() >= BLOCK_SAMPLES {
                    flush(&self.writer, id, open);
                }
                return;
            }
            if at >= block.at && at + samples.len() as u64 <= end {
                let start = (at - block.at) as usize;
                block.samples[start..start + samples.len()].copy_from_slice(samples);
                return;
            }
            flush(&self.writer, id, open);
        }
        let mut block = Vec::with_capacity(BLOCK_SAMPLES);
        block.extend_from_slice(samples);
        open.block = Some(Block { at, samples: block, begun_ns: clock::now().mono_ns });
    }

    /// Hands blocks on that have waited long enough.
    pub(super) fn flush_old(&mut self, now_ns: u64) {
        for (id, open) in &mut self.open {
            if open.block.as_ref().is_some_and(|block| now_ns.saturating_sub(block.begun_ns) >= MAX_AGE_NS) {
                flush(&self.writer, *id, open);
            }
        }
    }

    pub(super) fn close(&mut self, id: u64, samples: u64) {
        if let Some(mut open) = self.open.remove(&id) {
            flush(&self.writer, id, &mut open);
            self.writer.finish(id, samples);
            self.closed.insert(id, open.info);
        }
    }

    /// True if the command that is being obeyed has closed a recording.
    pub(super) fn has_closed(&self) -> bool {
        !self.closed.is_empty()
    }

    pub(super) fn forget_closed(&mut self) {
        self.closed.clear();
    }

    pub(super) fn info(&self, id: u64) -> Option<RecordingInfo> {
        self.closed.get(&id).or_else(|| self.open.get(&id).map(|open| &open.info)).cloned()
    }

    pub(super) fn infos(&self, statistics: &SessionStatistics) -> HashMap<u64, RecordingInfo> {
        statistics.recorders.values().filter_map(|(id, _)| Some((*id, self.info(*id)?))).collect()
    }
}

fn flush(writer: &Writer, id: u64, open: &mut Open) {
    if let Some(block) = open.block.take() {
        let count = block.samples.len() as u64;
        if !writer.write(id, block.at, block.samples) {
            open.info.dropped.fetch_add(count, Ordering::Relaxed);
        }
    }
}
