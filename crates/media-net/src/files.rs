//! Files: what players read and recorders create, on the control thread so that no worker waits for a disk.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use media_core::{wav, Audio, Refusal, RefusalCode, WeakAudio};

/// More than half an hour of 16-bit audio; a file is held in memory while it is played.
const MAX_PLAYER_FILE: u64 = 32 * 1024 * 1024;
/// All files that are being played, together.
const MAX_PLAYER_MEMORY: usize = 512 * 1024 * 1024;

#[derive(Debug)]
struct Loaded {
    modified: Option<SystemTime>,
    length: u64,
    audio: WeakAudio,
}

/// The files that are being played: a prompt that many calls hear is in memory once.
#[derive(Debug, Default)]
pub(crate) struct AudioShelf {
    loaded: HashMap<PathBuf, Loaded>,
}

impl AudioShelf {
    /// Reads a WAV file, unless it is being played already.
    pub(crate) fn load(&mut self, path: &Path) -> Result<Audio, Refusal> {
        let mut file = File::open(path).map_err(|error| bad_file(path, &error))?;
        let metadata = file.metadata().map_err(|error| bad_file(path, &error))?;
        if !metadata.is_file() {
            return Err(bad_file(path, &"not a file"));
        }
        if metadata.len() > MAX_PLAYER_FILE {
            let text = format!("{}: {} octets, at most {MAX_PLAYER_FILE}", path.display(), metadata.len());
            return Err(Refusal::new(RefusalCode::FileTooLarge, text));
        }
        let (modified, length) = (metadata.modified().ok(), metadata.len());
        let known = self.loaded.get(path).filter(|known| known.modified == modified && known.length == length);
        if let Some(audio) = known.and_then(|known| known.audio.upgrade()) {
            return Ok(audio);
        }
        self.loaded.retain(|_, known| known.audio.upgrade().is_some());
        let held: usize = self.loaded.values().filter_map(|known| Some(known.audio.upgrade()?.octets())).sum();
        if held + length as usize > MAX_PLAYER_MEMORY {
            return Err(Refusal::new(RefusalCode::Limit, "players hold as much memory as they may"));
        }
        let mut bytes = Vec::with_capacity(length as usize);
        file.by_ref().take(MAX_PLAYER_FILE).read_to_end(&mut bytes).map_err(|error| bad_file(path, &error))?;
        let audio = Audio::from(wav::parse(&bytes).map_err(|reason| bad_file(path, &reason))?);
        self.loaded.insert(path.to_owned(), Loaded { modified, length, audio: audio.downgrade() });
        Ok(audio)
    }
}

/// Creates a recorder's file with a header; a file that has something in it is never overwritten.
pub(crate) fn create_recording(path: &Path) -> Result<File, Refusal> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    let file = file.map_err(|error| bad_file(path, &error))?;
    let metadata = file.metadata().map_err(|error| bad_file(path, &error))?;
    if !metadata.is_file() || metadata.len() > 0 {
        return Err(bad_file(path, &"exists and is not empty"));
    }
    file.write_all_at(&wav::header(0), 0).map_err(|error| bad_file(path, &error))?;
    Ok(file)
}

fn bad_file(path: &Path, reason: &dyn std::fmt::Display) -> Refusal {
    Refusal::new(RefusalCode::BadFile, format!("{}: {reason}", path.display()))
}
