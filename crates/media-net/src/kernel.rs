//! Whether the kernel relays steady calls, and if not, why.

use std::io;
use std::sync::Arc;

use media_kernel::KernelPath;
use serde_json::{json, Value};

use crate::log;
use crate::options::KernelMode;

/// The in-kernel path of an engine, for its life.
#[derive(Clone)]
pub(crate) struct KernelState {
    mode: KernelMode,
    path: Option<Arc<KernelPath>>,
    /// Why there is none though it was wanted.
    reason: Option<String>,
}

impl KernelState {
    /// Loads the program if it is wanted. Fails with `Unsupported` if it is required and cannot be had.
    pub(crate) fn load(mode: KernelMode) -> io::Result<Self> {
        if mode == KernelMode::Off {
            return Ok(Self { mode, path: None, reason: None });
        }
        match KernelPath::load() {
            Ok(path) => Ok(Self { mode, path: Some(Arc::new(path)), reason: None }),
            Err(reason) if mode == KernelMode::Require => {
                Err(io::Error::new(io::ErrorKind::Unsupported, format!("kernel path: {reason}")))
            }
            Err(reason) => {
                log::info("kernel_path_off", json!({"reason": reason.to_string()}));
                Ok(Self { mode, path: None, reason: Some(reason.to_string()) })
            }
        }
    }

    pub(crate) fn path(&self) -> Option<Arc<KernelPath>> {
        self.path.clone()
    }

    /// As the media protocol tells it.
    pub(crate) fn describe(&self) -> Value {
        let legs = self.path.as_ref().map(|path| path.len());
        let reason = self.reason.as_deref().or_else(|| self.path.as_ref()?.hindrance());
        json!({"mode": self.mode.name(), "on": self.path.is_some(), "reason": reason, "legs": legs.unwrap_or(0)})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_is_not_wanted_nothing_is_loaded() {
        let state = KernelState::load(KernelMode::Off).unwrap();
        assert!(state.path().is_none());
        assert_eq!(state.describe(), json!({"mode": "off", "on": false, "reason": null, "legs": 0}));
    }

    #[test]
    fn where_it_cannot_be_had_the_reason_is_told() {
        let state = KernelState::load(KernelMode::Auto).unwrap();
        assert_eq!(state.path().is_some(), state.describe()["reason"].is_null());
        assert_eq!(KernelState::load(KernelMode::Require).is_ok(), state.path().is_some());
    }
}
