//! Whose behalf a task acts on.

use std::cell::Cell;

/// The caller of a request, as the host's kernel vouched for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Creds {
    /// Its process id on the host; 0 for the kernel itself.
    pub pid: i32,
    /// Its user id.
    pub uid: u32,
    /// Its capabilities: bit `CAP_X` set means it has `CAP_X`.
    pub caps: u64,
}

impl Creds {
    /// The kernel itself, which may do everything.
    pub const KERNEL: Creds = Creds { pid: 0, uid: 0, caps: u64::MAX };
}

thread_local! {
    static CREDS: Cell<Creds> = const { Cell::new(Creds::KERNEL) };
}

/// Runs `f` on behalf of `creds`: `capable()` judges them during `f`, on this thread.
pub fn with_creds<R>(creds: Creds, f: impl FnOnce() -> R) -> R {
    struct Restore(Creds);
    impl Drop for Restore {
        fn drop(&mut self) {
            CREDS.set(self.0);
        }
    }
    let _restore = Restore(CREDS.replace(creds));
    f()
}

/// On whose behalf the calling thread acts.
pub fn current_creds() -> Creds {
    CREDS.get()
}
