//! Calls over bad lines: whatever the line does, within what telephones can bear, some things always hold.

mod dtmf;
mod recording;
mod relaying;
mod rig;
mod srtp;
