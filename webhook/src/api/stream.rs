//! The body of an answer on its way back: given on as it comes, a piece at a time, and
//! ended where it may end.

use super::concurrency::Permit;
use super::counts::{Counts, Cut};
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::sync::watch;
use tokio::time::{Sleep, sleep_until};

/// What sort of answer it is, and what ends it early.
pub enum Kind {
    /// The end of this process.
    Watch(watch::Receiver<bool>),
    /// This moment.
    Call(Instant),
}

/// The body.
pub struct Stream {
    from: Incoming,
    until: Until,
    /// Nothing of an event has been given of which the rest has not.
    between: bool,
    ended: bool,
    counts: Counts,
    _permit: Permit,
}

enum Until {
    Ending(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// The end has come; what is left is the rest of one event.
    Over,
    Moment(Pin<Box<Sleep>>),
}

/// An answer took too long.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The rest did not come in time.
    #[error("the answer was not complete in time: ask for less")]
    Slow,
    /// The reporter is gone.
    #[error("the reporter broke off: ask again")]
    Reporter(#[from] hyper::Error),
}

impl Stream {
    /// The answer `from` the reporter; the permit is held until its end.
    pub fn new(from: Incoming, kind: Kind, permit: Permit, counts: Counts) -> Self {
        let until = match kind {
            Kind::Watch(mut ending) => Until::Ending(Box::pin(async move {
                // Fails only without a sender: then there is no end to wait for either.
                let _ = ending.wait_for(|ending| *ending).await;
            })),
            Kind::Call(moment) => Until::Moment(Box::pin(sleep_until(moment.into()))),
        };
        Self {
            from,
            until,
            between: true,
            ended: false,
            counts,
            _permit: permit,
        }
    }

    fn end(&mut self, cut: Cut) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.ended = true;
        self.counts.cut(cut);
        Poll::Ready(None)
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let over = match &mut self.until {
            Until::Ending(ending) => ending.as_mut().poll(cx).is_ready(),
            Until::Over => true,
            Until::Moment(moment) => {
                if moment.as_mut().poll(cx).is_ready() {
                    self.ended = true;
                    self.counts.cut(Cut::Slow);
                    return Poll::Ready(Some(Err(Broken::Slow)));
                }
                false
            }
        };
        if over {
            self.until = Until::Over;
            if self.between {
                return self.end(Cut::Drained);
            }
        }
        match std::task::ready!(Pin::new(&mut self.from).poll_frame(cx)) {
            Some(Ok(frame)) => {
                // Each event of a watch is a line.
                if let Some(last) = frame.data_ref().and_then(|data| data.last()) {
                    self.between = *last == b'\n';
                }
                Poll::Ready(Some(Ok(frame)))
            }
            // A client that has whole events begins again where the last one was.
            Some(Err(_)) if self.between && !matches!(self.until, Until::Moment(_)) => {
                self.end(Cut::Broken)
            }
            Some(Err(error)) => {
                self.ended = true;
                self.counts.cut(Cut::Broken);
                Poll::Ready(Some(Err(error.into())))
            }
            None => {
                self.ended = true;
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.from.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.from.size_hint()
    }
}
