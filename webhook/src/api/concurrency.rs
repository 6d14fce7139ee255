//! How many requests are forwarded at one time, all together and of one user: who opens
//! watches without end shuts out himself, not others.

use crate::witness::lock;
use prometheus_client::metrics::gauge::Gauge;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Part of the limit that one user may take: one in eight, but some at least.
const SHARE: usize = 8;
const SOME: usize = 16;

/// The limit of one sort of request.
pub struct ConcurrencyLimit {
    limit: usize,
    in_use: Mutex<InUse>,
    gauge: Gauge,
}

#[derive(Default)]
struct InUse {
    all: usize,
    by_user: HashMap<Arc<[u8]>, usize>,
}

/// The right to one request, given back when dropped.
pub struct Permit {
    of: Arc<ConcurrencyLimit>,
    user: Arc<[u8]>,
}

/// Which limit keeps a request out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// That of all requests together.
    Global,
    /// That of the user.
    User,
}

impl ConcurrencyLimit {
    /// At most `limit` at one time; the gauge shows how many there are.
    pub fn new(limit: usize, gauge: Gauge) -> Arc<Self> {
        Arc::new(Self {
            limit,
            in_use: Mutex::default(),
            gauge,
        })
    }

    /// A permit for one request of a user.
    pub fn acquire(self: &Arc<Self>, user: &[u8]) -> Result<Permit, Limit> {
        let mut in_use = lock(&self.in_use);
        if in_use.all >= self.limit {
            return Err(Limit::Global);
        }
        let share = (self.limit / SHARE).max(SOME);
        let mine = in_use.by_user.get(user).copied().unwrap_or_default();
        if mine >= share {
            return Err(Limit::User);
        }
        in_use.all += 1;
        self.gauge.inc();
        let user: Arc<[u8]> = user.into();
        in_use.by_user.insert(Arc::clone(&user), mine + 1);
        Ok(Permit {
            of: Arc::clone(self),
            user,
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut in_use = lock(&self.of.in_use);
        in_use.all -= 1;
        self.of.gauge.dec();
        if let Some(mine) = in_use.by_user.get_mut(&self.user) {
            *mine -= 1;
            if *mine == 0 {
                in_use.by_user.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_takes_a_share_and_leaves_the_rest_to_others() {
        let limit = ConcurrencyLimit::new(200, Gauge::default());
        let mine: Vec<_> = (0..25)
            .map(|_| limit.acquire(b"ann").ok().unwrap())
            .collect();
        assert_eq!(limit.acquire(b"ann").err(), Some(Limit::User));
        let theirs = limit.acquire(b"ben").ok();
        assert_eq!((limit.gauge.get(), theirs.is_some()), (26, true));
        drop(mine);
        drop(theirs);
        assert!(limit.acquire(b"ann").is_ok());
        assert_eq!(limit.gauge.get(), 0);
        assert!(lock(&limit.in_use).by_user.is_empty());
    }

    #[test]
    fn above_the_global_limit_everyone_is_refused() {
        let limit = ConcurrencyLimit::new(3, Gauge::default());
        let users = [b"a", b"b", b"c"];
        let _permits: Vec<_> = users.map(|user| limit.acquire(user).ok().unwrap()).into();
        assert_eq!(limit.acquire(b"d").err(), Some(Limit::Global));
    }
}
