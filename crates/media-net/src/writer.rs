//! The thread that writes recordings, so that no worker waits for a disk.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::Arc;

use media_core::wav;
use serde_json::json;

use crate::command::{Answer, Answers, RecordingInfo};
use crate::descriptors::Seated;
use crate::log;

/// Samples that may wait for the disk, of all recordings: 32 MB, the talk of 1000 endpoints over two seconds. What does not fit is
/// left out of the recording and counted.
const MAX_WAITING_SAMPLES: usize = 16 * 1024 * 1024;

enum Job {
    Open { recorder: u64, file: Seated<File>, info: RecordingInfo },
    Write { recorder: u64, at: u64, samples: Vec<i16> },
    Finish { recorder: u64, samples: u64 },
    Answer(Box<Answer>),
}

/// Hands work to the writer; its jobs are done in order.
#[derive(Clone)]
pub(crate) struct Writer {
    jobs: Sender<Job>,
    waiting: Arc<AtomicUsize>,
    dropped: Arc<AtomicU64>,
}

impl Writer {
    /// A writer whose thread runs `write_recordings` with what is returned beside it.
    pub(crate) fn new() -> (Self, WriterSide) {
        let (jobs, receiver) = std::sync::mpsc::channel();
        let writer = Self { jobs, waiting: Arc::default(), dropped: Arc::default() };
        let side = WriterSide { jobs: receiver, waiting: writer.waiting.clone(), dropped: writer.dropped.clone() };
        (writer, side)
    }

    /// Begins a recording in a file that has its header; samples that get lost are counted in `info`.
    pub(crate) fn open(&self, recorder: u64, file: Seated<File>, info: RecordingInfo) {
        self.send(Job::Open { recorder, file, info });
    }

    /// Writes samples; false if the disk is too far behind.
    pub(crate) fn write(&self, recorder: u64, at: u64, samples: Vec<i16>) -> bool {
        let count = samples.len();
        if self.waiting.fetch_add(count, Ordering::Relaxed) > MAX_WAITING_SAMPLES {
            self.waiting.fetch_sub(count, Ordering::Relaxed);
            self.dropped.fetch_add(count as u64, Ordering::Relaxed);
            return false;
        }
        self.send(Job::Write { recorder, at, samples });
        true
    }

    /// Completes a recording, which has so many samples.
    pub(crate) fn finish(&self, recorder: u64, samples: u64) {
        self.send(Job::Finish { recorder, samples });
    }

    /// Passes an answer on when all before is written.
    pub(crate) fn answer(&self, answer: Answer) {
        self.send(Job::Answer(Box::new(answer)));
    }

    /// Samples lost in all recordings.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn send(&self, job: Job) {
        // the thread ends after all senders have gone, so it is there
        let _ = self.jobs.send(job);
    }
}

/// The thread's side of a [`Writer`].
pub(crate) struct WriterSide {
    jobs: Receiver<Job>,
    waiting: Arc<AtomicUsize>,
    dropped: Arc<AtomicU64>,
}

struct Recording {
    file: Seated<File>,
    samples: u64,
    info: RecordingInfo,
    failed: bool,
}

impl Recording {
    fn write(&mut self, at: u64, samples: &[i16]) -> io::Result<()> {
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        self.file.write_all_at(&bytes, wav::HEADER_LEN as u64 + 2 * at)?;
        let end = at + samples.len() as u64;
        if end > self.samples {
            // sizes that are right after each block: a crash leaves a valid file
            self.samples = end;
            self.file.write_all_at(&wav::header(end), 0)?;
        }
        Ok(())
    }

    fn finish(&mut self, samples: u64) -> io::Result<()> {
        self.samples = self.samples.max(samples);
        self.file.set_len(wav::HEADER_LEN as u64 + 2 * self.samples)?;
        self.file.write_all_at(&wav::header(self.samples), 0)
    }
}

/// Does jobs until all [`Writer`]s are gone.
pub(crate) fn write_recordings(side: WriterSide, answers: Answers) {
    let mut recordings: HashMap<u64, Recording> = HashMap::new();
    for job in side.jobs {
        match job {
            Job::Open { recorder, file, info } => {
                recordings.insert(recorder, Recording { file, samples: 0, info, failed: false });
            }
            Job::Write { recorder, at, samples } => {
                side.waiting.fetch_sub(samples.len(), Ordering::Relaxed);
                let Some(recording) = recordings.get_mut(&recorder) else { continue };
                if let Err(error) = recording.write(at, &samples) {
                    recording.info.dropped.fetch_add(samples.len() as u64, Ordering::Relaxed);
                    side.dropped.fetch_add(samples.len() as u64, Ordering::Relaxed);
                    if !std::mem::replace(&mut recording.failed, true) {
                        tell("recording_failed", &recording.info, &error);
                    }
                }
            }
            Job::Finish { recorder, samples } => {
                let Some(mut recording) = recordings.remove(&recorder) else { continue };
                if let Err(error) = recording.finish(samples) {
                    tell("recording_not_completed", &recording.info, &error);
                }
            }
            Job::Answer(answer) => answers.send(*answer),
        }
    }
}

fn tell(event: &str, info: &RecordingInfo, error: &io::Error) {
    log::warning(event, json!({"path": info.path.display().to_string(), "reason": error.to_string()}));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_silence_and_the_file_is_valid_after_each_block() {
        let path = std::env::temp_dir().join(format!("sidestream-writer-{}.wav", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let seat = crate::descriptors::Descriptors::with_most(1).take().unwrap();
        let file = Seated::new(crate::files::create_recording(&path).unwrap(), seat);
        let info = RecordingInfo { path: path.clone(), dropped: Arc::default() };
        let mut recording = Recording { file, samples: 0, info, failed: false };
        let read = || {
            let bytes = std::fs::read(&path).unwrap();
            let data = wav::parse(&bytes).unwrap().data;
            data.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect::<Vec<_>>()
        };
        recording.write(2, &[7, 8]).unwrap();
        assert_eq!(read(), [0, 0, 7, 8]);
        recording.write(0, &[5]).unwrap();
        assert_eq!(read(), [5, 0, 7, 8]);
        recording.finish(6).unwrap();
        assert_eq!(read(), [5, 0, 7, 8, 0, 0]);
        assert_eq!(crate::files::create_recording(&path).unwrap_err().code.as_str(), "bad-file");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_the_disk_cannot_follow_is_dropped_and_counted() {
        let (writer, _side) = Writer::new();
        let mut taken = 0;
        while writer.write(1, 0, vec![0; 1 << 20]) {
            taken += 1;
        }
        assert_eq!(taken, 17);
        assert_eq!(writer.dropped(), 1 << 20);
    }
}
