//! TCP (RFC 9293), and the life of a connection on one page.
//!
//! ```text
//!  connect                                   SYN arrives
//!     |                                           |
//!  open.rs: Tcb::connecting              passive.rs: HalfOpen (syncache.rs)
//!     |  SYN-SENT                                 |  SYN-RECEIVED, in a small entry
//!     |                                           |  (a Tcb at once: early.rs)
//!     |                                           |  third segment
//!     +------------------> Tcb <------------------+--> accept queue (listener.rs)
//!                           |
//!      arrive.rs   takes segments: first check ... eighth check (§3.10.7.4)
//!      timers.rs   takes time
//!      calls.rs    takes the application's wishes (with tcb.rs and close.rs)
//!      output.rs   says what is sent next, and forms its segments (RSTs, and what
//!                  the small entries answer, go by way of reply.rs)
//!                           |
//!      close.rs    ends it: CLOSED, or TimeWait (timewait.rs), a small entry again
//! ```
//!
//! | kind | files |
//! |---|---|
//! | notions | `seq` `segment` `state` `options` `error` |
//! | lives | `layer` `demux` `listener` `syncache` `passive` `early` `flood` `forward` `timewait` `isn` `calls` `reply` `starved` |
//! | body (`impl Tcb`) | `tcb` `open` `arrive` `fast` `loss` `timeout` `resize` `output` `timers` `close` |
//! | organs | `send` `recv` `ack` `assembler` `cookie` `fast_open` `fast_servers` `rtt` `rto` `delivering` `flight` `scoreboard` `rack` `tlp` `prr` `undo` `recovery` `rate` `timestamps` `rightsize` `limited` `pace` `path` `ecn` `memory` `stats` `congestion` |
//! | views | `info`, for everybody; `scrutiny`, for tests |
//!
//! Organs take values and give reports; they know no `Tcb` (law 4). Variables bear the RFC's
//! names: SND.UNA is `snd.una`, RCV.NXT is `rcv.nxt` (§3.3.1).

pub(crate) mod demux;
pub(crate) mod error;
mod fast;
pub(crate) mod fast_open;
pub(crate) mod flight;
pub(crate) mod info;
pub(crate) mod layer;
pub(crate) mod limited;
pub(crate) mod listener;
pub(crate) mod options;
pub(crate) mod rate;
pub(crate) mod segment;
pub(crate) mod seq;
pub(crate) mod state;
pub(crate) mod syncache;
pub(crate) mod tcb;

mod ack;
mod arrive;
mod assembler;
mod calls;
mod close;
mod congestion;
mod cookie;
mod delivering;
mod early;
mod ecn;
mod fast_servers;
mod flood;
mod forward;
mod isn;
mod loss;
pub(crate) mod memory;
mod open;
mod output;
mod pace;
mod passive;
mod path;
mod prr;
mod rack;
mod recovery;
mod recv;
mod reply;
mod resize;
mod rightsize;
mod rto;
mod rtt;
mod scoreboard;
#[cfg(any(test, feature = "testing"))]
mod scrutiny;
pub(crate) mod send;
mod starved;
mod stats;
mod timeout;
mod timers;
mod timestamps;
mod timewait;
mod tlp;
mod undo;
