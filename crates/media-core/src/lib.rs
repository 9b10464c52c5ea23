//! The media engine's rules without sockets, clocks or threads: `now` comes in, actions go out.
#![forbid(unsafe_code)]
