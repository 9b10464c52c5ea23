//! Files: what players read and recorders create, on the control thread so that no worker waits for a disk.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
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
        let mut file = open(path, OpenOptions::new().read(true)).map_err(|error| bad_file(path, &error))?;
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
    let (file, is_new) = match open(path, OpenOptions::new().write(true).create_new(true)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            (open(path, OpenOptions::new().write(true)).map_err(|error| bad_file(path, &error))?, false)
        }
        opened => (opened.map_err(|error| bad_file(path, &error))?, true),
    };
    let metadata = file.metadata().map_err(|error| bad_file(path, &error))?;
    if !metadata.is_file() || metadata.len() > 0 {
        return Err(bad_file(path, &"exists and is not empty"));
    }
    if let Err(error) = file.write_all_at(&wav::header(0), 0) {
        // a full disk: what was not there before is not left there
        let _ = if is_new { fs::remove_file(path) } else { file.set_len(0) };
        return Err(bad_file(path, &error));
    }
    Ok(file)
}

/// Opens a file. A pipe, for which the control thread would wait until somebody has its other end, is opened or refused at
/// once; files know no waiting.
fn open(path: &Path, how: &mut OpenOptions) -> io::Result<File> {
    how.custom_flags(libc::O_NONBLOCK).open(path)
}

fn bad_file(path: &Path, reason: &dyn std::fmt::Display) -> Refusal {
    Refusal::new(RefusalCode::BadFile, format!("{}: {reason}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn nobody_waits_for_the_other_end_of_a_pipe() {
        let path = std::env::temp_dir().join(format!("sidestream-pipe-{}", std::process::id()));
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        assert_eq!(AudioShelf::default().load(&path).unwrap_err().code, RefusalCode::BadFile);
        assert_eq!(create_recording(&path).unwrap_err().code, RefusalCode::BadFile);
        fs::remove_file(&path).unwrap();
    }
}
