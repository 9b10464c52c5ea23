//! Commands that cannot be obeyed.

use std::fmt;

/// An error code of the media protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalCode {
    /// Not a JSON object in UTF-8.
    BadJson,
    /// Longer than a line may be.
    LineTooLong,
    /// A field is missing, unknown or wrong.
    BadField,
    /// No such operation.
    UnknownOperation,
    /// `hello` has not been said.
    HelloRequired,
    /// A protocol version that is not spoken.
    BadVersion,
    /// No such session.
    NoSession,
    /// No such endpoint.
    NoEndpoint,
    /// No such fork.
    NoFork,
    /// No such player.
    NoPlayer,
    /// No such interface.
    NoInterface,
    /// Open under that name with other parameters.
    Conflict,
    /// Too many of them.
    Limit,
    /// The engine has too much to do for one more session.
    Overload,
    /// No free port pair.
    NoPorts,
    /// No format that could carry it.
    NoFormat,
    /// A file that cannot be opened, made or understood.
    BadFile,
    /// A file over the limit.
    FileTooLarge,
    /// The engine is shutting down.
    Stopping,
    /// The engine's fault.
    Internal,
}

impl RefusalCode {
    /// Every code.
    pub const ALL: [Self; 20] = [
        Self::BadJson,
        Self::LineTooLong,
        Self::BadField,
        Self::UnknownOperation,
        Self::HelloRequired,
        Self::BadVersion,
        Self::NoSession,
        Self::NoEndpoint,
        Self::NoFork,
        Self::NoPlayer,
        Self::NoInterface,
        Self::Conflict,
        Self::Limit,
        Self::Overload,
        Self::NoPorts,
        Self::NoFormat,
        Self::BadFile,
        Self::FileTooLarge,
        Self::Stopping,
        Self::Internal,
    ];

    /// The code as the protocol writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadJson => "bad-json",
            Self::LineTooLong => "line-too-long",
            Self::BadField => "bad-field",
            Self::UnknownOperation => "unknown-operation",
            Self::HelloRequired => "hello-required",
            Self::BadVersion => "bad-version",
            Self::NoSession => "no-session",
            Self::NoEndpoint => "no-endpoint",
            Self::NoFork => "no-fork",
            Self::NoPlayer => "no-player",
            Self::NoInterface => "no-interface",
            Self::Conflict => "conflict",
            Self::Limit => "limit",
            Self::Overload => "overload",
            Self::NoPorts => "no-ports",
            Self::NoFormat => "no-format",
            Self::BadFile => "bad-file",
            Self::FileTooLarge => "file-too-large",
            Self::Stopping => "stopping",
            Self::Internal => "internal",
        }
    }
}

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For programs.
    pub code: RefusalCode,
    /// For people.
    pub message: String,
}

impl Refusal {
    /// A refusal with a text for people.
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for Refusal {}
