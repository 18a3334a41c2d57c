// SPDX-License-Identifier: GPL-2.0-only
//! The hash of a trace: FNV-1a over 64-bit words, with a shift so that high bits come back down.
//!
//! Only numbers that repeat go in: times, task numbers, lengths, text. Never an address, never the content of a
//! message (drivers put addresses into theirs).

/// A running hash.
#[derive(Clone, Copy, Debug)]
pub(super) struct TraceHash(u64);

impl Default for TraceHash {
    fn default() -> TraceHash {
        TraceHash(0xcbf2_9ce4_8422_2325)
    }
}

impl TraceHash {
    pub fn fold(&mut self, word: u64) {
        let hash = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        self.0 = hash ^ (hash >> 29);
    }

    pub fn fold_bytes(&mut self, bytes: &[u8]) {
        self.fold(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.fold(u64::from_le_bytes(word));
        }
    }

    pub fn value(self) -> u64 {
        self.0
    }
}
