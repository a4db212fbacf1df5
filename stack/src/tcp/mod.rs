//! TCP (RFC 9293).

mod assembler;
