//! A panic in the world is a failure like any other: with its seed and its story.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static IN_WORLD: Cell<bool> = const { Cell::new(false) };
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Panics inside of a world are remembered, all others are told as ever.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = take_hook();
        set_hook(Box::new(move |info| {
            if IN_WORLD.get() {
                LAST.set(info.to_string());
            } else {
                others(info);
            }
        }));
    });
}

/// What `run` returns, or what it panicked with.
pub(crate) fn caught<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    listen();
    IN_WORLD.set(true);
    let result = catch_unwind(AssertUnwindSafe(run));
    IN_WORLD.set(false);
    result.unwrap_or_else(|_| Err(LAST.take()))
}

/// True for what [`caught`] tells of a panic in smoltcp.
pub(super) fn is_of_smoltcp(what: &str) -> bool {
    let place = what.lines().next().unwrap_or("");
    place.starts_with("panicked at ") && place.contains("/smoltcp-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_failure() {
        assert_eq!(caught(|| Ok(1)), Ok(1));
        assert_eq!(caught::<u8>(|| Err("no".into())), Err("no".into()));
        let told = caught::<u8>(|| panic!("at the disco")).expect_err("a panic");
        assert!(told.contains("at the disco") && told.contains("panics.rs"), "{told}");
    }
}
