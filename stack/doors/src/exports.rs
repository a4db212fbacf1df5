//! The C functions' names, for libraries that export them: once with a prefix, once without.

/// Exports the calls that are the same in both libraries, each under the name that `$name` gives.
#[macro_export]
macro_rules! exports {
    ($($name:ident = $($path:ident)::+ ( $($argument:ident : $type:ty),* ) -> $answer:ty;)*) => {$(
        /// The libc function of this name.
        ///
        /// # Safety
        /// As that function.
        // SAFETY: it means to stand in for libc's, and does the same.
        #[unsafe(no_mangle)]
        // SAFETY: what the caller promises stands above.
        pub unsafe extern "C" fn $name($($argument: $type),*) -> $answer {
            #[allow(unused_unsafe, reason = "some need it and some do not")]
            // SAFETY: passed on as it came.
            unsafe { $($path)::+($($argument),*) }
        }
    )*};
}
