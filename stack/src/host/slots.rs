//! A vector with holes: small things that keep their index until they are removed.

/// Things at stable indices; freed indices are used again, the last first.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Slots { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    /// Puts `value` at a free index and returns that.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        if let Some(index) = self.free.pop() {
            self.slots[index as usize] = Some(value);
            return index;
        }
        self.slots.push(Some(value));
        (self.slots.len() - 1) as u32
    }

    pub(crate) fn remove(&mut self, index: u32) -> Option<T> {
        let value = self.slots.get_mut(index as usize)?.take()?;
        self.free.push(index);
        Some(value)
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.slots.get_mut(index as usize)?.as_mut()
    }

    /// The indices of the things that fit, by looking at every one: for the end of a poller.
    pub(crate) fn indices_where(&self, fits: impl Fn(&T) -> bool) -> Vec<u32> {
        let fits = |slot: &Option<T>| slot.as_ref().is_some_and(&fits);
        let numbered = (0..).zip(&self.slots);
        numbered.filter_map(|(index, slot)| fits(slot).then_some(index)).collect()
    }

    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        self.slots.get(index as usize)?.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_stable_and_used_again() {
        let mut slots = Slots::default();
        let [a, b] = ["a", "b"].map(|value| slots.insert(value));
        assert_eq!(slots.remove(a), Some("a"));
        assert_eq!((slots.remove(a), slots.get(a), slots.get(b)), (None, None, Some(&"b")));
        assert_eq!(slots.insert("c"), a);
        assert_eq!(slots.get_mut(a), Some(&mut "c"));
    }
}
