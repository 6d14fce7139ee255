//! How many requests are forwarded at one time, all together and of one user: who opens
//! watches without end shuts out himself, not others.

use prometheus_client::metrics::gauge::Gauge;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Part of the seats that one user may take: one in eight, but some at least.
const SHARE: usize = 8;
const SOME: usize = 16;

/// The seats of one sort of request.
pub struct Seats {
    all: usize,
    taken: Mutex<Taken>,
    shown: Gauge,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_user: HashMap<Arc<[u8]>, usize>,
}

/// A seat, given back when dropped.
pub struct Seat {
    seats: Arc<Seats>,
    user: Arc<[u8]>,
}

/// Why there is no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// All are taken.
    House,
    /// The user has his share.
    Share,
}

impl Seats {
    /// So many; those taken are shown by the gauge.
    pub fn new(all: usize, shown: Gauge) -> Arc<Self> {
        Arc::new(Self {
            all,
            taken: Mutex::default(),
            shown,
        })
    }

    /// A seat for one request of a user.
    pub fn take(self: &Arc<Self>, user: &[u8]) -> Result<Seat, Full> {
        let mut taken = crate::witness::lock(&self.taken);
        if taken.all >= self.all {
            return Err(Full::House);
        }
        let share = (self.all / SHARE).max(SOME);
        let mine = taken.by_user.get(user).copied().unwrap_or_default();
        if mine >= share {
            return Err(Full::Share);
        }
        taken.all += 1;
        self.shown.inc();
        let user: Arc<[u8]> = user.into();
        taken.by_user.insert(Arc::clone(&user), mine + 1);
        Ok(Seat {
            seats: Arc::clone(self),
            user,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = crate::witness::lock(&self.seats.taken);
        taken.all -= 1;
        self.seats.shown.dec();
        if let Some(mine) = taken.by_user.get_mut(&self.user) {
            *mine -= 1;
            if *mine == 0 {
                taken.by_user.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_takes_a_share_and_leaves_the_rest_to_others() {
        let seats = Seats::new(200, Gauge::default());
        let mine: Vec<_> = (0..25).map(|_| seats.take(b"ann").ok().unwrap()).collect();
        assert_eq!(seats.take(b"ann").err(), Some(Full::Share));
        let theirs = seats.take(b"ben").ok();
        assert_eq!((seats.shown.get(), theirs.is_some()), (26, true));
        drop(mine);
        drop(theirs);
        assert!(seats.take(b"ann").is_ok());
        assert_eq!(seats.shown.get(), 0);
        assert!(crate::witness::lock(&seats.taken).by_user.is_empty());
    }

    #[test]
    fn a_full_house_refuses_everyone() {
        let seats = Seats::new(3, Gauge::default());
        let users = [b"a", b"b", b"c"];
        let _taken: Vec<_> = users.map(|user| seats.take(user).ok().unwrap()).into();
        assert_eq!(seats.take(b"d").err(), Some(Full::House));
    }
}
