//! `libtapstack.so`: the C library. `include/tapstack.h` says what is in it.

mod apart;
pub mod library;
pub mod place;
