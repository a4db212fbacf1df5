//! What a connection keeps while something of it is outstanding: one box, which an idle connection
//! does not have.

use super::flight::Flight;
use super::prr::Prr;
use super::tlp::Tlp;
use super::undo::Undo;
use core::ops::{Deref, DerefMut};

/// The organs that only matter while something is outstanding.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) flight: Flight,
    pub(crate) undo: Undo,
    pub(crate) prr: Prr,
    pub(crate) tlp: Tlp,
}

impl Parts {
    const fn new() -> Parts {
        Parts { flight: Flight::new(), undo: Undo::new(), prr: Prr::new(), tlp: Tlp::new() }
    }
}

/// What an idle connection reads.
static NOTHING: Parts = Parts::new();

/// [`Parts`], once something has been sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delivering(Option<Box<Parts>>);

impl Delivering {
    /// Bytes of memory held.
    pub(crate) fn allocated(&self) -> usize {
        self.0.as_ref().map_or(0, |parts| size_of::<Parts>() + parts.flight.allocated())
    }

    /// Gives the memory back when nothing is outstanding.
    pub(crate) fn rest(&mut self) {
        if self.flight.records() == 0 {
            self.release();
        }
    }

    /// Forgets everything: the connection is over.
    pub(crate) fn release(&mut self) {
        self.0 = None;
    }
}

impl Deref for Delivering {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        self.0.as_deref().unwrap_or(&NOTHING)
    }
}

impl DerefMut for Delivering {
    fn deref_mut(&mut self) -> &mut Parts {
        self.0.get_or_insert_with(|| Box::new(Parts::new()))
    }
}
