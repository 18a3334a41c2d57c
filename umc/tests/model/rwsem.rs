// SPDX-License-Identifier: GPL-2.0-only
//! Reader-writer semaphores: `linux/rwsem.h`.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use umc::sys;

use crate::abi::c;
use crate::harness::*;
use crate::mutex::add_slowly;

type Sem = Shared<sys::rw_semaphore>;

fn rwsem() -> Sem {
    let sem = Shared::new(sys::rw_semaphore::default());
    c!(__init_rwsem(sem.get(), c"model".as_ptr(), std::ptr::null_mut()));
    sem
}

/// A writer is alone; readers see nothing half-written.
#[test]
fn a_writer_is_alone() {
    holds(1000, |world| {
        let (sem, numbers) = (rwsem(), leak([const { AtomicU64::new(0) }; 2]));
        let threads = [0, 1, 2, 3].map(|way| {
            world.thread(["reader", "writer"][way % 2], move || {
                for _ in 0..2 {
                    world.nap(3 * US);
                    if way % 2 == 0 {
                        c!(down_read(sem.get()));
                        let first = numbers[0].load(SeqCst);
                        world.nap(US);
                        assert_eq!(first, numbers[1].load(SeqCst), "a writer is at work");
                        c!(up_read(sem.get()));
                        continue;
                    }
                    if way == 3 {
                        assert_eq!(c!(down_write_killable(sem.get())), 0);
                    } else {
                        c!(down_write(sem.get()));
                    }
                    numbers.iter().for_each(add_slowly);
                    if way == 3 {
                        // No other writer comes in between.
                        c!(downgrade_write(sem.get()));
                        assert_eq!(numbers[0].load(SeqCst), numbers[1].load(SeqCst));
                        c!(up_read(sem.get()));
                    } else {
                        c!(up_write(sem.get()));
                    }
                }
            })
        });
        threads.into_iter().for_each(|thread| thread.join());
        assert_eq!(numbers.each_ref().map(|number| number.load(SeqCst)), [4, 4]);
        assert_eq!(c!(rwsem_is_locked(sem.get())), 0);
    });
}

/// Readers share it, also two that wait for each other.
#[test]
fn readers_share() {
    holds(300, |world| {
        let (sem, inside) = (rwsem(), leak(AtomicU64::new(0)));
        let readers = [(); 3].map(|()| {
            world.thread("reader", move || {
                world.nap(3 * US);
                c!(down_read(sem.get()));
                inside.fetch_add(1, SeqCst);
                while inside.load(SeqCst) < 3 {
                    world.sim.sleep(US);
                }
                c!(up_read(sem.get()));
            })
        });
        readers.into_iter().for_each(|reader| reader.join());
    });
}

/// A writer that waits holds off later readers: it gets in although there is a reader at any time.
#[test]
fn a_waiting_writer_holds_off_readers() {
    holds(500, |world| {
        let (sem, order) = (rwsem(), log());
        c!(down_read(sem.get()));
        let late = ["writer", "reader", "writer", "reader"].map(|who| {
            let thread = world.thread(who, move || {
                if who == "writer" {
                    c!(down_write(sem.get()));
                    order.lock().push(who);
                    c!(up_write(sem.get()));
                } else {
                    c!(down_read(sem.get()));
                    order.lock().push(who);
                    c!(up_read(sem.get()));
                }
            });
            world.settle();
            thread
        });
        assert_eq!(c!(down_read_trylock(sem.get())), 0, "a reader overtakes the writer");
        assert!(order.lock().is_empty() && c!(rwsem_is_contended(sem.get())) != 0);
        c!(up_read(sem.get()));
        late.into_iter().for_each(|thread| thread.join());
        assert_eq!(*order.lock(), ["writer", "reader", "writer", "reader"]);
    });
}

/// A writer that is killed while it waits lets in the readers that waited behind it only.
#[test]
fn a_killed_writer_lets_readers_in() {
    holds(500, |world| {
        let (sem, inside) = (rwsem(), leak(AtomicU64::new(0)));
        c!(down_read(sem.get()));
        let writer = world.thread("writer", move || {
            c!(allow_signal(libc::SIGKILL));
            assert_eq!(c!(down_write_killable(sem.get())), -libc::EINTR);
        });
        world.settle();
        let readers = [(); 2].map(|()| {
            world.thread("reader", move || {
                c!(down_read(sem.get()));
                inside.fetch_add(1, SeqCst);
                c!(up_read(sem.get()));
            })
        });
        world.nap(20 * US);
        writer.send_sig(libc::SIGKILL);
        readers.into_iter().for_each(|reader| reader.join());
        writer.join();
        c!(up_read(sem.get()));
        assert_eq!(c!(rwsem_is_locked(sem.get())), 0);
    });
}
