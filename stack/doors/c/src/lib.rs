//! `libtapstack.so`: the C library. `include/tapstack.h` says what is in it.

pub mod library;
pub mod place;
