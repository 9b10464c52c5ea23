//! What holds for all input: of parsers, that nothing makes them panic and that they read what is written; of numbering and
//! counting, that they agree with a simpler model.

mod numbering;
mod packets;
mod protection;
mod quality;
mod storage;
