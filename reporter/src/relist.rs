//! A watch that begins with a list again after any error.
//!
//! kube's own watcher goes on where it broke. That loses nothing, but nobody is told when
//! it is back, nor since when it was away.

use futures::StreamExt as _;
use futures::stream::{self, BoxStream, Stream};
use kube::runtime::watcher::{Error, Event};
use std::time::Duration;

/// How long a watch that broke waits before it begins again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pause {
    /// The first time; then twice as long for each time that it fails again …
    pub(crate) first: Duration,
    /// … but no longer than this.
    pub(crate) longest: Duration,
}

/// Events of what `begin` watches. Each error is given out once and followed by a list.
pub(crate) fn relisting<K: Send + 'static>(
    begin: impl Fn() -> BoxStream<'static, Result<Event<K>, Error>> + Send + 'static,
    pause: Pause,
) -> impl Stream<Item = Result<Event<K>, Error>> + Send + 'static {
    struct State<K, B> {
        events: BoxStream<'static, Result<Event<K>, Error>>,
        begin: B,
        /// What the last failure cost.
        paused: Duration,
        /// Before the next event.
        wait: Duration,
    }
    let state = State {
        events: begin(),
        begin,
        paused: Duration::ZERO,
        wait: Duration::ZERO,
    };
    stream::unfold(state, move |mut state| async move {
        if !state.wait.is_zero() {
            tokio::time::sleep(std::mem::take(&mut state.wait)).await;
        }
        let item = state.events.next().await?;
        match &item {
            // A list that has begun has not succeeded.
            Ok(Event::Init) => {}
            Ok(_) => state.paused = Duration::ZERO,
            Err(_) => {
                state.paused = (state.paused * 2).clamp(pause.first, pause.longest);
                state.wait = state.paused;
                state.events = (state.begin)();
            }
        }
        Some((item, state))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_watch_that_fails_begins_with_a_list_after_ever_longer_pauses() {
        let failing = || {
            let items = [Ok(Event::<()>::Init), Err(Error::NoResourceVersion)];
            stream::iter(items).boxed()
        };
        let pause = Pause {
            first: Duration::from_millis(10),
            longest: Duration::from_millis(30),
        };
        let events = relisting(failing, pause);
        let mut events = std::pin::pin!(events);
        let began = tokio::time::Instant::now();
        for at_least in [0, 10, 30, 60, 90] {
            assert!(matches!(events.next().await, Some(Ok(Event::Init))));
            assert!(matches!(events.next().await, Some(Err(_))));
            let elapsed = began.elapsed();
            assert!(
                elapsed >= Duration::from_millis(at_least),
                "{elapsed:?} {at_least}"
            );
        }
    }
}
