//! Bodies of requests: one of which nothing comes for a while is given up, so that whoever stalls keeps nothing open.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Error;
use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// For how long nothing may come.
const STALLED: Duration = Duration::from_secs(30);

/// A body that is given up where nothing comes of it for too long.
#[derive(Debug)]
struct Patient {
    body: Body,
    end: Pin<Box<Sleep>>,
}

/// Has a body end with an error where nothing comes of it for 30 s.
pub(super) fn patient(body: Body) -> Body {
    if body.is_end_stream() {
        return body;
    }
    let end = Box::pin(sleep(STALLED));
    Body::new(Patient { body, end })
}

impl HttpBody for Patient {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            this.end.as_mut().reset(Instant::now() + STALLED);
            return Poll::Ready(frame);
        }
        this.end.as_mut().poll(context).map(|()| {
            let why = format!("nothing of it came for {} s", STALLED.as_secs());
            Some(Err(Error::new(io::Error::new(io::ErrorKind::TimedOut, why))))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use futures::stream;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_stalls_ends_and_what_is_slow_does_not() {
        let slow = stream::iter(0..4).then(async |number| {
            sleep(STALLED - Duration::from_secs(1)).await;
            Ok::<_, io::Error>(Bytes::from(number.to_string()))
        });
        let stalled = slow.chain(stream::pending());
        let mut pieces = patient(Body::from_stream(stalled)).into_data_stream();
        let began = Instant::now();
        for number in 0..4 {
            let piece = pieces.next().await.expect("a piece").expect("it comes");
            assert_eq!(piece, number.to_string());
        }
        assert_eq!(began.elapsed(), Duration::from_secs(4 * 29));
        let error = pieces.next().await.expect("an end").expect_err("it stalls");
        assert!(error.to_string().contains("nothing of it came for 30 s"), "{error}");
        assert_eq!(began.elapsed(), Duration::from_secs(4 * 29 + 30));
    }
}
