//! What the shell takes of the crate's own, and nobody outside can see.

pub(crate) mod interface {
    use crate::InterfaceId;

    /// Some of a host's interfaces.
    #[derive(Clone, Copy)]
    pub(crate) struct InterfaceSet(u64);

    impl InterfaceSet {
        pub(crate) const EMPTY: InterfaceSet = InterfaceSet(0);

        pub(crate) fn contains(self, id: InterfaceId) -> bool {
            self.0 & 1 << id.place() != 0
        }

        pub(crate) fn set(&mut self, id: InterfaceId, is_in: bool) {
            let bit = 1 << id.place();
            self.0 = if is_in { self.0 | bit } else { self.0 & !bit };
        }
    }
}
